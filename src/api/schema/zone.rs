//! The operator's own zones, and what registrars are told.

use utoipa::ToSchema;

/// One of the operator's own zones.
#[derive(ToSchema)]
pub(super) struct Zone {
    /// Its name.
    name: String,
    /// The serial that is served.
    serial: u32,
    /// When the first of its signatures expires.
    signatures_expire_at: String,
    /// What the parent must be told.
    ds: Vec<Ds>,
    /// The revision of its last change.
    revision: u64,
}

/// The operator's own zones.
#[derive(ToSchema)]
pub(super) struct ZonePage {
    /// The zones.
    items: Vec<Zone>,
    /// Always null: the list is whole.
    next: Option<String>,
}

/// A DS record.
#[derive(ToSchema)]
pub(super) struct Ds {
    /// The record as a master file has it.
    text: String,
    /// The key's tag.
    key_tag: u16,
    /// The algorithm's number.
    algorithm: u8,
    /// 2: SHA-256.
    digest_type: u8,
    /// The digest in hexadecimal digits.
    digest: String,
}

/// A DNSKEY, CDNSKEY or CDS record, as text and fields.
#[derive(ToSchema)]
pub(super) struct KeyRecord {
    /// The record as a master file has it.
    text: String,
    /// The algorithm's number.
    algorithm: u8,
    /// Of DNSKEY and CDNSKEY.
    flags: Option<u16>,
    /// Of DNSKEY and CDNSKEY: 3.
    protocol: Option<u8>,
    /// Of DNSKEY and CDNSKEY, in base64.
    public_key: Option<String>,
    /// Of CDS.
    key_tag: Option<u16>,
    /// Of CDS.
    digest_type: Option<u8>,
    /// Of CDS, in hexadecimal digits.
    digest: Option<String>,
}

/// What a registrar is told.
#[derive(ToSchema)]
pub(super) struct Delegation {
    /// The zone.
    name: String,
    /// DS records.
    ds: Vec<Ds>,
    /// DNSKEY records.
    dnskey: Vec<KeyRecord>,
    /// CDS records.
    cds: Vec<KeyRecord>,
    /// CDNSKEY records.
    cdnskey: Vec<KeyRecord>,
}

/// A key.
#[derive(ToSchema)]
pub(super) struct Key {
    /// Its tag.
    key_tag: u16,
    /// The algorithm's number.
    algorithm: u8,
    /// 257: it signs the whole zone.
    flags: u16,
}

/// The keys of a zone.
#[derive(ToSchema)]
pub(super) struct KeyPage {
    /// The keys.
    items: Vec<Key>,
    /// Always null: the list is whole.
    next: Option<String>,
}
