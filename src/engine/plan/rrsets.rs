//! Steps about the RRsets of one domain alone.

use super::draft::{DomainDraft, Draft};
use crate::document::Fault;
use crate::engine::{IfMatch, Refusal};
use crate::mail;
use crate::wire::{Apex, RelativeName, Rtype};
use crate::zone::RelativeRrset;

impl Draft<'_> {
    /// Gives a domain an RRset of its own, or replaces it.
    pub(super) fn put_rrset(
        &mut self,
        at: usize,
        domain: &Apex,
        rrset: &RelativeRrset,
        if_match: Option<IfMatch>,
    ) -> Result<(), Refusal> {
        self.check_domain_match(domain, if_match)?;
        let mut draft = self.edit_domain(domain, at)?;
        self.check_owned(&draft, &rrset.owner, rrset.rtype)?;
        self.check_harm(&draft, rrset)?;
        let mut rrset = rrset.clone();
        rrset.rdatas.sort_unstable();
        rrset.rdatas.dedup();

        let mut rare = draft.rare.as_deref().cloned().unwrap_or_default();
        let key = |rrset: &RelativeRrset| (rrset.owner.clone(), rrset.rtype);
        let what = match rare.extra.binary_search_by_key(&key(&rrset), key) {
            Ok(found) if rare.extra[found] == rrset => return Ok(()),
            Ok(found) => {
                rare.extra[found] = rrset.clone();
                "is replaced"
            }
            Err(place) => {
                rare.extra.insert(place, rrset.clone());
                "is added"
            }
        };
        draft.rare = rare.boxed();
        draft.revision = None;
        self.domains.insert(domain.clone(), Some(draft));
        let subject = subject(domain, &rrset.owner, rrset.rtype);
        self.effect(at, "put_rrset", subject, what.to_owned());
        Ok(())
    }

    /// Takes an RRset of its own from a domain.
    pub(super) fn delete_rrset(
        &mut self,
        at: usize,
        domain: &Apex,
        owner: &RelativeName,
        rtype: Rtype,
        if_match: Option<IfMatch>,
    ) -> Result<(), Refusal> {
        self.check_domain_match(domain, if_match)?;
        let mut draft = self.edit_domain(domain, at)?;
        let mut rare = draft.rare.as_deref().cloned().unwrap_or_default();
        let found = rare
            .extra
            .iter()
            .position(|rrset| rrset.owner == *owner && rrset.rtype == rtype);
        let Some(found) = found else {
            self.check_owned(&draft, owner, rtype)?;
            return Err(Refusal::NotFound {
                kind: "rrset",
                name: subject(domain, owner, rtype),
            });
        };
        rare.extra.remove(found);
        draft.rare = rare.boxed();
        draft.revision = None;
        self.domains.insert(domain.clone(), Some(draft));
        let subject = subject(domain, owner, rtype);
        self.effect(at, "delete_rrset", subject, "goes".to_owned());
        Ok(())
    }

    /// Refuses what the pool or the signer says.
    fn check_owned(
        &self,
        draft: &DomainDraft,
        owner: &RelativeName,
        rtype: Rtype,
    ) -> Result<(), Refusal> {
        let conflict = |who: String| {
            Err(Refusal::Conflict(format!(
                "the RRset {owner} {rtype} belongs to {who}"
            )))
        };
        let pool = &draft.pool;
        if rtype == Rtype::SOA || owner.is_apex() && rtype == Rtype::NS {
            return conflict(format!("the pool {pool}"));
        }
        let by_keys = matches!(rtype, Rtype::DNSKEY | Rtype::CDS | Rtype::CDNSKEY);
        if by_keys && owner.is_apex() || rtype.is_made_by_signing() {
            return conflict("the signer".to_owned());
        }
        // A pool that changes in the same call is rendered after the steps; what clashes with that
        // is found then.
        let owned = self.recipe(pool).is_some_and(|recipe| {
            let rrsets = recipe.template.template.rrsets();
            let key = (owner, rtype);
            rrsets
                .binary_search_by(|rrset| (&rrset.owner, rrset.rtype).cmp(&key))
                .is_ok()
        });
        if owned && owner.is_apex() && rtype == Rtype::TXT {
            return conflict(format!(
                "the pool {pool}; its extra.records can add TXT to it, for all of its domains"
            ));
        }
        if owned {
            return conflict(format!("the pool {pool}"));
        }
        Ok(())
    }

    /// Refuses what would lead mail astray.
    fn check_harm(&self, draft: &DomainDraft, rrset: &RelativeRrset) -> Result<(), Refusal> {
        if rrset.rdatas.is_empty() {
            return Err(Refusal::Invalid(vec![Fault::new(
                "/records",
                "expected at least one record, found none",
            )]));
        }
        if let Some(recipe) = self.recipe(&draft.pool)
            && let Err(error) = recipe.signing.check_ttl(rrset.ttl)
        {
            let RelativeRrset { owner, rtype, .. } = rrset;
            let why = format!("{owner} {rtype}: {error}");
            return Err(Refusal::Invalid(vec![Fault::new("/ttl", why)]));
        }
        let settings = self.settings(&draft.pool);
        let reasons = settings.map(|settings| mail::check_own_rrset(settings, rrset));
        let mut reasons = reasons.unwrap_or_default();
        let recipe = self.recipe(&draft.pool);
        reasons.extend(recipe.and_then(|recipe| {
            let rendered = recipe.template.template.rrsets();
            mail::clash_with_pool(&recipe.settings, rendered, &rrset.owner, rrset.rtype)
        }));
        if reasons.is_empty() {
            return Ok(());
        }
        let RelativeRrset { owner, rtype, .. } = rrset;
        let reasons = reasons.join("; ");
        Err(Refusal::Conflict(format!("{owner} {rtype}: {reasons}")))
    }
}

/// Returns what an RRset of a domain is called.
fn subject(domain: &Apex, owner: &RelativeName, rtype: Rtype) -> String {
    format!("{} {owner} {rtype}", domain.to_api_text())
}
