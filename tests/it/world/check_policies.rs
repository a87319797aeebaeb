//! What domains announce of their policies, and what senders may have fetched.

use std::rc::Rc;

use super::check::Violation;
use super::dns::{Seen, Spot};
use super::product::{Product, Stage};
use super::story::{DAY, span};
use super::world::World;

impl World {
    /// Checks ids and texts of a domain's policies (S2, S8, S9, S10).
    pub(super) fn check_policies(
        &mut self,
        product: &mut dyn Product,
        name: &str,
    ) -> Result<(), Violation> {
        let now = self.now;
        let Some(trail) = self.trail(name, &Spot::StsTxt) else {
            return Ok(());
        };
        let id = |seen: &Rc<Seen>| {
            let text = seen.records.first()?;
            let id = text.split_once("id=")?.1;
            Some(id.trim_end_matches(';').to_owned())
        };
        let ids = |version: &Option<Rc<Seen>>| version.as_ref().and_then(id);
        let said: Vec<String> = trail.said().filter_map(|it| ids(&it.what)).collect();
        let texts: Vec<Option<String>> = self
            .policy_hosts
            .iter()
            .map(|host| host.file(name))
            .collect();
        let wanted = product.policy(name);
        // What the product announces; a server that was down may say an older one for a moment.
        let latest = self.zones.get(name).and_then(|zone| zone.latest.as_ref());
        let announced = latest.and_then(|shown| shown.at(&Spot::StsTxt).and_then(id));
        let book = self.book(name);
        if let Some(id) =
            announced.and_then(|id| book.memory.announce(&[id], wanted.as_deref(), name))
        {
            let what = format!("{name} announces the policy id {id} again after another");
            return Err(self.broken("S2", what));
        }
        let book = &self.books[name];
        let outrun = book.memory.outrun(&said, &texts, name);
        self.must(!outrun || book.restored, "S9", || {
            format!("{name} announces {said:?} while a policy host serves a text of before")
        })?;
        // Nobody ever wrote to what goes from standby; its senders hold nothing that matters.
        let unused = book.null_since.is_none()
            && book
                .now
                .as_ref()
                .is_some_and(|it| it.stage == Stage::Released);
        let forced = book.forced.is_some() || book.restored || unused;
        if wanted.is_none()
            && !forced
            && book.now.is_some()
            && let Some(held) = book.memory.held(now).find(|held| held.is_policy())
        {
            let left = span(held.until() - now);
            let mode = &held.policy.mode;
            let what = format!("the policy of {name} is gone; {mode} is held for {left}");
            return Err(self.broken("S10", what));
        }
        let enforces = wanted.is_some_and(|text| text.contains("mode: enforce"));
        if enforces && self.ladder && !self.rewound {
            let long = self
                .testing_since
                .is_some_and(|since| now >= since + 7 * DAY);
            self.must(long, "S8", || {
                format!("{name} enforces its policy before a week of testing")
            })?;
            self.ladder = false;
        }
        Ok(())
    }

    /// Notes when all domains in use were first seen to announce a policy that is tried (S8).
    pub(super) fn note_trial(&mut self, product: &mut dyn Product) {
        let sts = self.accepted.setting.sts;
        let wanted = sts.is_some();
        // What was enforced and is no more begins again; so does what was tried by domains in use.
        let texts = self.books.keys().filter_map(|name| product.policy(name));
        let texts: Vec<String> = texts.collect();
        let enforced = |text: &String| text.contains("mode: enforce");
        if !self.ladder && sts.is_none_or(|(mode, _)| mode != "enforce") {
            // What no domain shows any more may be the pool's still: a hold keeps it.
            let held = texts.is_empty() && self.books.values().any(|book| book.held);
            self.ladder = !held && !texts.iter().any(enforced);
            self.testing_since = None;
        }
        let stage = |name: &String| Some(self.books[name].now.as_ref()?.stage);
        let used = self
            .books
            .keys()
            .filter(|name| stage(name) < Some(Stage::Draining));
        let texts: Vec<String> = used.filter_map(|name| product.policy(name)).collect();
        if !texts.is_empty() && texts.iter().all(|text| text.contains("mode: none")) {
            self.testing_since = None;
        }
        if !self.ladder || !wanted || self.testing_since.is_some() {
            return;
        }
        for (name, book) in &self.books {
            let stage = book.now.as_ref().map(|domain| domain.stage);
            if stage.is_none_or(|stage| stage >= Stage::Draining) {
                continue;
            }
            let tried = product
                .policy(name)
                .is_some_and(|text| text.contains("mode: testing"));
            let latest = self.zones.get(name).and_then(|zone| zone.latest.as_ref());
            let shown = latest.is_some_and(|shown| shown.at(&Spot::StsTxt).is_some());
            if !(tried && shown) {
                return;
            }
        }
        self.testing_since = Some(self.now);
    }

    /// Notes which policies senders may have fetched up to now.
    pub(super) fn remember_policies(&mut self, name: &str) {
        let now = self.now;
        let Some(trail) = self.trail(name, &Spot::StsTxt) else {
            return;
        };
        let mut ids = Vec::new();
        for version in trail.ever() {
            let seen_until = version.seen_until(now);
            let Some(seen) = &version.what else {
                continue;
            };
            let text = seen.records.first().map_or("", String::as_str);
            let Some((_, id)) = text.split_once("id=") else {
                continue;
            };
            // What left the caches before this stretch of time was noted at its end.
            if seen_until + 2 * DAY > now {
                ids.push((id.trim_end_matches(';').to_owned(), seen_until));
            }
        }
        let texts: Vec<Option<String>> = self
            .policy_hosts
            .iter()
            .map(|host| host.file(name))
            .collect();
        self.book(name).memory.fetch(&ids, &texts, now);
    }
}
