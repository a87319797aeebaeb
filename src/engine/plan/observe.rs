//! The operator's word on a domain, where nobody watches.

use super::draft::Draft;
use super::lives::boxed;
use crate::clock::Timestamp;
use crate::document::Fault;
use crate::engine::life::note_published;
use crate::engine::{Refusal, Word};
use crate::lifecycle::{DsSeen, Fact, NsSeen};
use crate::wire::{Apex, Serial};

impl Draft<'_> {
    /// Takes the operator's word on a domain.
    pub(super) fn observe(&mut self, at: usize, name: &Apex, word: &Word) -> Result<(), Refusal> {
        let mut draft = self.edit_domain(name, at)?;
        let moment = word.at.unwrap_or(self.now);
        if moment > self.now {
            return Err(Refusal::Invalid(vec![Fault::new(
                "/at",
                format!("expected no moment after {}, found {moment}", self.now),
            )]));
        }
        let circumstances = self.circumstances(name, &draft)?;
        let situation = circumstances.situation();
        let wanted = situation.policy.wanted.map(str::to_owned);
        let ns = situation.observed.ns.as_ref();
        let was_gone = ns.is_some_and(|ns| ns.what == NsSeen::Gone);
        let current = situation.stays.last().map(|stay| stay.on);
        let serial = draft.served.as_ref().map(|it| it.serial);
        let (facts, said) = facts_of(word, serial, wanted, was_gone);
        if said.is_empty() {
            return Err(Refusal::Invalid(vec![Fault::new(
                "",
                "expected something that was observed, found nothing",
            )]));
        }
        let began = |fact: &Fact| began(fact, draft.added, current);
        let latest = facts.iter().filter_map(began).max();
        if let Some(began) = latest.filter(|began| *began > moment) {
            let name = name.to_api_text();
            self.warn(format!(
                "{moment} is before there was anything of {name} to be seen: that counts from {began}"
            ));
        }
        if word.published == Some(false) {
            self.warn(
                "published no is not waited for: how long name servers lag behind, where nothing \
                 watches them, is the pool's timing.propagation; set that to what it takes"
                    .to_owned(),
            );
        }
        let mut life = draft.life.take().unwrap_or_default();
        for fact in &facts {
            let moment = began(fact).map_or(moment, |began| began.max(moment));
            life.observed.learn(fact, moment);
            if let (Fact::Published(serial), Some(served)) = (fact, &draft.served) {
                note_published(&mut life, served.serial, *serial, moment);
            }
            // Seen once by the operator is seen for good: nobody looks a second time.
            if let (Fact::Mail(true), Some(mail)) = (fact, &mut life.observed.mail) {
                mail.at = mail.at.max(self.now);
            }
        }
        draft.life = boxed(*life);
        draft.revision = None;
        self.domains.insert(name.clone(), Some(draft));
        let what = format!("the operator says: {}", said.join(", "));
        self.effect(at, "observe", name.to_api_text(), what);
        Ok(())
    }
}

/// Returns since when there is something of ours that could be seen so: a domain's key, and what hosts
/// answer for it, are not older than the domain, and its zone is served as it is since `current`.
fn began(fact: &Fact, added: Timestamp, current: Option<Timestamp>) -> Option<Timestamp> {
    match fact {
        Fact::Ds(DsSeen::Ours) | Fact::Mail(true) | Fact::Policy(_) => Some(added),
        Fact::Published(_) => Some(current.map_or(added, |current| current.max(added))),
        _ => None,
    }
}

/// Returns the facts that the operator's word makes, and what is said in words.
fn facts_of(
    word: &Word,
    serial: Option<Serial>,
    policy: Option<String>,
    was_gone: bool,
) -> (Vec<Fact>, Vec<String>) {
    let mut facts = Vec::new();
    let mut said = Vec::new();
    let yes = |is: bool| if is { "yes" } else { "no" };
    if let Some(ours) = word.ns {
        facts.push(Fact::Ns(
            if ours { NsSeen::Ours } else { NsSeen::Others },
            None,
        ));
        said.push(format!("ns {}", yes(ours)));
    }
    if let Some(gone) = word.ns_gone {
        // That it is not gone says nothing of whose it is; it only takes back that it was.
        if gone || was_gone {
            let seen = if gone { NsSeen::Gone } else { NsSeen::Others };
            facts.push(Fact::Ns(seen, None));
        }
        said.push(format!("ns_gone {}", yes(gone)));
    }
    if let Some(ours) = word.ds {
        facts.push(Fact::Ds(if ours { DsSeen::Ours } else { DsSeen::Absent }));
        said.push(format!("ds {}", yes(ours)));
    }
    if let Some(published) = word.published {
        facts.extend(serial.filter(|_| published).map(Fact::Published));
        said.push(format!("published {}", yes(published)));
    }
    if let Some(ready) = word.mail_ready {
        facts.push(Fact::Mail(ready));
        said.push(format!("mail_ready {}", yes(ready)));
    }
    if let Some(served) = word.policy_served {
        let id = policy.filter(|_| served).unwrap_or_default();
        facts.push(Fact::Policy(id));
        said.push(format!("policy_served {}", yes(served)));
    }
    if let Some(queries) = word.queries {
        facts.push(Fact::Queries(queries));
        said.push(format!("{queries} MX queries a day"));
    }
    (facts, said)
}
