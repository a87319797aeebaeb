//! From what a zone says to a signed zone and its image; on a worker thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_bytes::ByteBuf;
use zeroize::Zeroizing;

use super::facts::{Recipe, Served, SharedTemplate};
use crate::clock::Timestamp;
use crate::dnssec::{
    self, Extent, Previous, SealError, SealingKey, SignError, SigningKey, SigningPolicy, key_rrsets,
};
use crate::store::record::{self, KeysRecord, SignedZoneRecord};
use crate::store::{Store, StoreError};
use crate::wire::{Algorithm, Apex, KeyError, Rdata, Rtype, Serial};
use crate::zone::{
    Layouts, RelativeRrset, SIGNATURE_LENGTH, SignedZone, SignedZoneError, UnsignedZone, ZoneError,
    ZoneImage,
};

/// What a zone is made from; two zones made from the same inputs say the same.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ZoneInputs {
    /// The version that is served now; `None` for a new zone.
    pub(super) base: Option<u64>,
    /// What it says.
    pub(super) material: Material,
}

/// What a zone says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Material {
    /// A pool's domain: what the pool says, and the RRsets of this domain alone.
    Domain {
        /// What the pool says.
        recipe: Arc<Recipe>,
        /// The RRsets of this domain alone.
        extra: Vec<RelativeRrset>,
    },
    /// One of the operator's zones.
    Operator {
        /// The SOA as written; the serial is ours.
        soa: RelativeRrset,
        /// All the rest, derived records included.
        content: Arc<Vec<RelativeRrset>>,
    },
}

/// A zone that is to be signed.
#[derive(Debug)]
pub(super) struct ZoneTask {
    /// Its name.
    pub(super) apex: Apex,
    /// The version under which it will be stored.
    pub(super) version: u64,
    /// The serial it gets.
    pub(super) serial: Serial,
    /// The zone as served now, if it is.
    pub(super) base: Option<Served>,
    /// What is to be done.
    pub(super) work: Work,
}

/// What a preparation does to a zone.
#[derive(Debug)]
pub(super) enum Work {
    /// Makes it from inputs.
    Make(ZoneInputs),
    /// Signs what is served again, every RRset.
    Renew(SigningPolicy),
}

/// A zone that is ready to be committed and served.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Its name.
    pub(super) apex: Apex,
    /// What it was made from; `None` when it was signed again.
    pub(super) inputs: Option<ZoneInputs>,
    /// What the facts will say of it.
    pub(super) served: Served,
    /// The version it replaces.
    pub(super) replaces: Option<u64>,
    /// What is served.
    pub(super) image: ZoneImage,
    /// What is stored; `None` once it has been stored ahead.
    pub(super) records: Option<Records>,
    /// How many signatures it has.
    pub(super) signatures: u64,
}

/// What is stored of a prepared zone, in stored form: the writer only hands it on.
#[derive(Debug)]
pub(super) struct Records {
    /// The signatures.
    pub(super) zone: Vec<u8>,
    /// The sealed keys, if they are new.
    pub(super) keys: Option<Vec<u8>>,
}

/// Why a zone could not be prepared.
#[derive(Debug, thiserror::Error)]
pub(super) enum PrepareError {
    /// What was served is not stored: it was replaced meanwhile and whoever asked must look again,
    /// or it is lost, if the facts still name it.
    #[error("the keys or signatures of version {version} are not stored")]
    Overtaken {
        /// The version that was looked for.
        version: u64,
    },
    /// What it says is no zone.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The signatures that were made do not belong to it.
    #[error(transparent)]
    Signed(#[from] SignedZoneError),
    /// What was signed does not hold.
    #[error("the signed zone does not hold: {0}")]
    Check(#[from] dnssec::CheckError),
    /// A key cannot be made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key cannot be sealed or unsealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It panicked: a fault of ours, which must not take the others with it.
    #[error("the preparation panicked")]
    Panicked,
    /// The keys are not what they should be.
    #[error("the keys are damaged: {0}")]
    Keys(&'static str),
}

impl PrepareError {
    /// Returns whether the operator's data is at fault, not we.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Zone(_) | Self::Sign(_))
    }
}

/// What a preparation needs beside its task.
pub(super) struct Workshop {
    /// Where keys and the versions served now lie.
    pub(super) store: Arc<dyn Store>,
    /// Opens and seals keys.
    pub(super) sealing: SealingKey,
    /// What images share.
    pub(super) layouts: Layouts,
    /// The template of zones that share nothing.
    pub(super) empty: Arc<SharedTemplate>,
}

/// A zone's keys, unsealed for one preparation.
struct Keys {
    /// The keys.
    keys: Vec<SigningKey>,
    /// What is stored of them, if they are new.
    sealed: Option<KeysRecord>,
}

impl Workshop {
    /// Signs a zone and composes its image; half a millisecond for a pool's domain.
    ///
    /// Calls `signed` after each signature. Returns how long signing took, too.
    pub(super) fn prepare(
        &self,
        task: ZoneTask,
        now: Timestamp,
        signed: &mut dyn FnMut(),
    ) -> Result<(Prepared, Duration), PrepareError> {
        let previous = self.previous(&task)?;
        let policy = match &task.work {
            Work::Make(inputs) => inputs.signing(),
            Work::Renew(policy) => policy.clone(),
        };
        let keys = self.keys(&task, policy.algorithm())?;
        let references: Vec<&SigningKey> = keys.keys.iter().collect();
        let (template, own) = match &task.work {
            Work::Make(inputs) => {
                let template = inputs.template(&self.empty);
                let mut own = key_rrsets(&references, &task.apex, policy.dnskey_ttl());
                own.extend(inputs.own(task.serial));
                (template, own)
            }
            Work::Renew(_) => {
                let Some((zone, template)) = &previous else {
                    return Err(PrepareError::Overtaken {
                        version: task.version,
                    });
                };
                (Arc::clone(template), renumbered(zone, task.serial))
            }
        };
        let unsigned = UnsignedZone::new(task.apex.clone(), Arc::clone(&template.template), own)?;
        let reusable = match (&task.work, &previous) {
            (Work::Make(_), Some((zone, old))) => Some((zone, zone.to_unsigned(&old.template)?)),
            _ => None,
        };
        let reusable = reusable.as_ref();
        let reusable = reusable.map(|(signed, unsigned)| Previous { signed, unsigned });

        let started = Instant::now();
        let signed = dnssec::sign_and_tell(&unsigned, &references, &policy, now, reusable, signed)?;
        let took = started.elapsed();
        // A key that was read from the store is held against its public half while it is read, and
        // signed for this zone before.
        let extent = match keys.sealed {
            Some(_) => Extent::OneOfEachKey,
            None => Extent::Structure,
        };
        dnssec::check(&signed, &unsigned, extent, now)?;
        let image = ZoneImage::compose(&signed, &template.template, &self.layouts)?;
        let ds = references.iter().map(|key| key.ds(&task.apex));
        let served = Served {
            version: task.version,
            serial: task.serial,
            earliest_expiration: dnssec::earliest_expiration(&signed, now).unwrap_or(now),
            ds: ds.collect(),
            template,
        };
        let prepared = Prepared {
            inputs: match task.work {
                Work::Make(inputs) => Some(inputs),
                Work::Renew(_) => None,
            },
            served,
            replaces: task.base.map(|base| base.version),
            image,
            signatures: (signed.signatures.len() / SIGNATURE_LENGTH) as u64,
            records: Some(Records {
                zone: record::encode(&SignedZoneRecord::from(signed)),
                keys: keys.sealed.as_ref().map(record::encode),
            }),
            apex: task.apex,
        };
        Ok((prepared, took))
    }

    /// Reads the version that is served now.
    fn previous(
        &self,
        task: &ZoneTask,
    ) -> Result<Option<(SignedZone, Arc<SharedTemplate>)>, PrepareError> {
        let Some(base) = &task.base else {
            return Ok(None);
        };
        let key = record::signed_zone_key(&task.apex, base.version);
        let stored: Option<SignedZoneRecord> = record::get(&*self.store, &key)?;
        // A version goes when a newer one is committed: so one was.
        let stored = stored.ok_or(PrepareError::Overtaken {
            version: base.version,
        })?;
        let zone = stored.into_zone(task.apex.clone());
        Ok(Some((zone, Arc::clone(&base.template))))
    }

    /// Unseals a zone's keys, or makes the key of a new zone.
    fn keys(&self, task: &ZoneTask, algorithm: Algorithm) -> Result<Keys, PrepareError> {
        let apex = &task.apex;
        let Some(base) = &task.base else {
            let (key, secret) = SigningKey::generate(algorithm, &[])?;
            let mut plain = Zeroizing::new(Vec::with_capacity(1 + secret.len()));
            plain.push(algorithm.number());
            plain.extend_from_slice(&secret);
            let sealed = self.sealing.seal(apex, &plain)?;
            return Ok(Keys {
                keys: vec![key],
                sealed: Some(KeysRecord {
                    sealed: vec![ByteBuf::from(sealed)],
                }),
            });
        };
        let stored: Option<KeysRecord> = record::get(&*self.store, apex.as_wire())?;
        // Keys go with their zone only.
        let stored = stored.ok_or(PrepareError::Overtaken {
            version: base.version,
        })?;
        let keys = stored.sealed.iter().map(|sealed| {
            let plain = self.sealing.unseal(apex, sealed)?;
            let (&number, secret) = plain
                .split_first()
                .ok_or(PrepareError::Keys("a sealed key is empty"))?;
            let algorithm = Algorithm::from_number(number).map_err(|_| {
                PrepareError::Keys("a sealed key names an algorithm that is not known")
            })?;
            Ok(SigningKey::from_secret(algorithm, secret)?)
        });
        Ok(Keys {
            keys: keys.collect::<Result<_, PrepareError>>()?,
            sealed: None,
        })
    }
}

impl ZoneInputs {
    /// Returns how the zone is signed.
    fn signing(&self) -> SigningPolicy {
        match &self.material {
            Material::Domain { recipe, .. } => recipe.signing.clone(),
            Material::Operator { .. } => SigningPolicy::default(),
        }
    }

    /// Returns what the zone shares with others.
    fn template(&self, empty: &Arc<SharedTemplate>) -> Arc<SharedTemplate> {
        match &self.material {
            Material::Domain { recipe, .. } => Arc::clone(&recipe.template),
            Material::Operator { .. } => Arc::clone(empty),
        }
    }

    /// Returns the RRsets of the zone alone, but for those about keys.
    fn own(&self, serial: Serial) -> Vec<RelativeRrset> {
        match &self.material {
            Material::Domain { recipe, extra } => {
                let mut own = extra.clone();
                own.push(recipe.settings.soa(serial));
                own
            }
            Material::Operator { soa, content } => {
                let mut own = content.to_vec();
                own.push(with_serial(soa, serial));
                own
            }
        }
    }
}

/// Returns a zone's own RRsets with another serial.
fn renumbered(zone: &SignedZone, serial: Serial) -> Vec<RelativeRrset> {
    let own = zone.own.iter();
    own.map(|rrset| {
        if rrset.rtype == Rtype::SOA {
            with_serial(rrset, serial)
        } else {
            rrset.clone()
        }
    })
    .collect()
}

/// Returns a SOA RRset with another serial.
fn with_serial(soa: &RelativeRrset, serial: Serial) -> RelativeRrset {
    let mut soa = soa.clone();
    for rdata in &mut soa.rdatas {
        *rdata = rdata.with_soa_serial(serial);
    }
    soa
}

/// Returns the serial that an operator wrote into a SOA RRset.
pub(super) fn written_serial(soa: &RelativeRrset, apex: &Apex) -> Option<Serial> {
    let rdata: Rdata = soa.rdatas.first()?.under(Rtype::SOA, apex).ok()?;
    Some(rdata.soa_numbers()?.serial)
}
