//! What a store that was restored from a backup needs before it is served.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use super::facts::Served;
use super::load::{Loaded, StartError};
use super::prepare::{Prepared, Work, Workshop, ZoneTask};
use super::records::put_renewed_fact;
use crate::clock::Timestamp;
use crate::store::meta::{self, Restored};
use crate::store::{Batch, Space, record};
use crate::wire::{Apex, Serial};

/// How far serials move on: what was served after the backup was taken had lower ones, unless a
/// zone changed a million times since. Far below the 2^31 that a serial may move (RFC 1982,
/// section 3.2).
const SERIAL_STEP: u32 = 1_000_000;

/// How many zones are stored in one commit.
const CHUNK: usize = 256;

/// Signs every zone of a restored store again, with a serial above all that secondaries may have
/// seen, before any of it is served.
///
/// Interrupted, it starts again and serials move on once more.
pub(super) fn sign_again(
    loaded: &mut Loaded,
    workshop: &Arc<Workshop>,
    restored: &Restored,
    now: Timestamp,
    cores: usize,
) -> Result<(), StartError> {
    let facts = &loaded.facts;
    let names: Vec<Apex> = facts
        .zones
        .keys()
        .chain(
            facts
                .domains
                .iter()
                .filter(|(_, domain)| !domain.is_dropped())
                .map(|(apex, _)| apex),
        )
        .cloned()
        .collect();
    tracing::info!(
        zones = names.len(),
        "the store was restored: every zone is signed again"
    );
    loaded.images.clear();
    // Revisions go on above all that may have been given after the backup was taken. What mail hosts
    // have applied of those days is not known: they may refuse what the backup says they accept, until
    // they have read it anew (A8, R2).
    let recovering = Restored {
        at: now,
        backup_revision: restored.backup_revision,
    };
    let begins = recovering.revision().unwrap_or(0);
    loaded.facts.revision = loaded.facts.revision.max(begins);
    let revision = loaded.facts.revision;
    for domain in loaded.facts.domains.values_mut() {
        domain.routed = revision;
    }
    let mut last_version = loaded.last_version;
    for names in names.chunks(CHUNK) {
        let mut tasks = Vec::with_capacity(names.len());
        for apex in names {
            let Some(served) = loaded.facts.served(apex) else {
                continue;
            };
            last_version += 1;
            tasks.push(ZoneTask {
                apex: apex.clone(),
                version: last_version,
                serial: raised(served, now),
                base: Some(served.clone()),
                work: Work::Renew(loaded.facts.signing(apex)),
            });
        }
        let prepared = prepare_all(workshop, tasks, now, cores)?;
        let mut batch = Batch::new();
        for prepared in &prepared {
            let Some(records) = &prepared.records else {
                continue;
            };
            let key = record::signed_zone_key(&prepared.apex, prepared.served.version);
            batch.put(Space::SignedZone, &key, records.zone.clone());
            if let Some(old) = prepared.replaces {
                let key = record::signed_zone_key(&prepared.apex, old);
                batch.delete(Space::SignedZone, &key);
            }
            put_renewed_fact(&mut batch, &loaded.facts, prepared);
        }
        meta::LAST_SIGNING.put(&mut batch, &now);
        workshop.store.commit(&batch)?;
        for prepared in prepared {
            loaded.facts.put_served(&prepared.apex, prepared.served);
            loaded.images.push(prepared.image);
        }
    }
    loaded.last_version = last_version;

    let mut batch = Batch::new();
    meta::REVISION.put(&mut batch, &loaded.facts.revision);
    meta::RESTORED.delete(&mut batch);
    // What was promised after the backup was taken is not known: nothing is withdrawn for a while
    // (K28).
    meta::RECOVERING.put(&mut batch, &recovering);
    loaded.facts.recovering = Some(recovering);
    workshop.store.commit(&batch)?;
    Ok(())
}

/// 2026-01-01T00:00:00Z: minutes are counted from here.
const MINUTES_FROM: Timestamp = Timestamp::from_secs(1_767_225_600);

/// Returns the serial of a restored zone.
///
/// One backup may be restored twice, and what was served after the first time had serials above its
/// own: so what is added grows by the minute, faster than zones change. A million in two years:
/// serials stay far from moving by 2^31.
fn raised(served: &Served, now: Timestamp) -> Serial {
    let minutes = now.since(MINUTES_FROM).as_secs() / 60;
    let step = SERIAL_STEP.saturating_add(u32::try_from(minutes).unwrap_or(0));
    let raised = served.serial.number().wrapping_add(step - 1);
    Serial::new(raised).next(now.date_number())
}

/// Prepares zones on all cores.
fn prepare_all(
    workshop: &Workshop,
    tasks: Vec<ZoneTask>,
    now: Timestamp,
    cores: usize,
) -> Result<Vec<Prepared>, StartError> {
    let count = tasks.len();
    let tasks = Mutex::new(tasks.into_iter());
    let failed = AtomicUsize::new(0);
    let done: Vec<Result<Vec<Prepared>, StartError>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|_| {
                scope.spawn(|| {
                    let mut prepared = Vec::with_capacity(count / cores + 1);
                    while failed.load(Ordering::Relaxed) == 0 {
                        let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).next();
                        let Some(task) = next else {
                            break;
                        };
                        let apex = task.apex.clone();
                        // Nothing is served yet that signing would have to give way to.
                        match workshop.prepare(task, now, &mut || ()) {
                            Ok((zone, _)) => prepared.push(zone),
                            Err(error) => {
                                failed.fetch_add(1, Ordering::Relaxed);
                                let reason = error.to_string();
                                return Err(StartError::Resign { apex, reason });
                            }
                        }
                    }
                    Ok(prepared)
                })
            })
            .collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined
            .map(|outcome| outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    let mut all = Vec::with_capacity(count);
    for prepared in done {
        all.extend(prepared?);
    }
    Ok(all)
}
