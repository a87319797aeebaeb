//! What lies in the store, damaged: it is refused or read, and what is read is written the same.

use mxpool::store::record::{
    AuditRecord, ChangeRecord, CountRecord, DomainRecord, EventsRecord, HostRecord,
    IdempotencyRecord, KeysRecord, OperatorZoneRecord, PoolRecord, Record, SignedZoneRecord,
    TemplateRecord, TokenRecord, decode, encode,
};

/// Reads octets as every record.
pub(crate) fn run(octets: &[u8]) {
    form::<AuditRecord>(octets);
    form::<ChangeRecord>(octets);
    form::<CountRecord>(octets);
    form::<DomainRecord>(octets);
    form::<EventsRecord>(octets);
    form::<HostRecord>(octets);
    form::<IdempotencyRecord>(octets);
    form::<KeysRecord>(octets);
    form::<OperatorZoneRecord>(octets);
    form::<PoolRecord>(octets);
    form::<SignedZoneRecord>(octets);
    form::<TemplateRecord>(octets);
    form::<TokenRecord>(octets);
}

fn form<R: Record>(octets: &[u8]) {
    match decode::<R>(octets) {
        Ok(record) => {
            let stored = encode(&record);
            let again = decode::<R>(&stored).expect("what is written is read");
            assert_eq!(encode(&again), stored);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
