//! Steps about the operator's own zones.

use std::sync::Arc;

use super::draft::{Draft, ZoneDraft, check_match};
use crate::engine::{IfMatch, Refusal};
use crate::wire::{Apex, Name};
use crate::zone::ZoneData;

impl Draft<'_> {
    /// Creates one of the operator's zones or replaces its records.
    pub(super) fn put_zone(
        &mut self,
        at: usize,
        apex: &Apex,
        data: &ZoneData,
        if_match: Option<IfMatch>,
    ) -> Result<(), Refusal> {
        let text = apex.to_api_text();
        let existing = self.facts.zones.get(apex);
        check_match(
            if_match,
            || format!("the zone {text}"),
            existing.map(|zone| zone.revision),
        )?;
        for warning in &data.warnings {
            self.warn(format!("{text}: {warning}"));
        }
        if let Some(pool) = self.pool_of(apex) {
            return Err(Refusal::Conflict(format!(
                "{text} is a domain of the pool {pool}"
            )));
        }
        if let Some(above) = self.domain_above(apex) {
            let above = above.to_api_text();
            return Err(Refusal::Conflict(format!(
                "{text} lies below the domain {above}, which may go at any time"
            )));
        }

        let drafted = match self.zones.get(apex) {
            Some(draft) => draft.as_ref().map(|draft| &draft.records),
            None => existing.map(|zone| &zone.records),
        };
        if drafted.is_some_and(|records| **records == data.rrsets) {
            return Ok(());
        }
        let what = match drafted {
            Some(_) => "records are replaced",
            None => "is created",
        };
        let draft = ZoneDraft {
            op: at,
            revision: None,
            records: Arc::new(data.rrsets.clone()),
            served: existing.map(|zone| zone.served.clone()),
            inputs: None,
        };
        self.zones.insert(apex.clone(), Some(draft));
        self.effect(at, "put_zone", text, what.to_owned());
        Ok(())
    }

    /// Returns the closest of the operator's zones at or above a name.
    pub(super) fn closest_zone(&self, name: &Name) -> Option<Apex> {
        let itself = Apex::new(name.clone()).ok();
        itself
            .filter(|apex| self.has_zone(apex))
            .or_else(|| self.zone_above(name))
    }
}
