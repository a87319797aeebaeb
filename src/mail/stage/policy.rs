//! The MTA-STS policy: its ladder, and its end.

use super::{Stager, after, after_ttl};
use crate::clock::Span;
use crate::mail::settings::PoolSettings;
use crate::mail::{MtaSts, MtaStsMode, PolicyForm};

/// How long a policy is tried before it is enforced: "a week" of reports (RFC 8461, section 5; S8).
const TRIAL: Span = Span::from_secs(7 * 86_400);

impl Stager<'_> {
    /// Walks the policy up its ladder (S8) and down again (S10); other changes of it are texts, which
    /// domains announce one by one where they are served (S9).
    pub(super) fn policy(&mut self, wanted: &PoolSettings, current: &PoolSettings) {
        match (&current.mta_sts, &wanted.mta_sts) {
            (_, Some(new)) if new.mode == MtaStsMode::Enforce => {
                let is_enforced = mode(current) == Some(MtaStsMode::Enforce);
                if !is_enforced && !self.tried(current) {
                    self.staging.effective.mta_sts = Some(MtaSts {
                        mode: MtaStsMode::Testing,
                        ..new.clone()
                    });
                }
            }
            (Some(old), None) if old.acts() => {
                self.staging.effective.mta_sts = Some(old.in_form(PolicyForm::None));
                let longest = self.longest_max_age();
                let what = format!(
                    "the policy says \"none\" from now on; senders keep the one before for up to \
                     {longest}"
                );
                self.wait("/mta_sts", "S10", None, what);
            }
            (Some(old), None) if !self.forgotten() => {
                self.staging.effective.mta_sts = Some(old.clone());
            }
            _ => {}
        }
    }

    /// S8: the policy was announced everywhere as `testing` for a week.
    fn tried(&mut self, current: &PoolSettings) -> bool {
        const POINTER: &str = "/mta_sts/mode";
        if mode(current) != Some(MtaStsMode::Testing) {
            let what = format!(
                "the policy is tried as \"testing\" for {TRIAL} first, with reports of failures \
                 (RFC 8461, section 5)"
            );
            return self.wait(POINTER, "S8", None, what);
        }
        let since = self.held_since(|it| mode(it) == Some(MtaStsMode::Testing));
        let shown = self.facts.policy_shown.max(since);
        let until = self.facts.policy_shown.and(shown);
        let what = match until {
            Some(since) => format!(
                "every domain announces the policy as \"testing\" since {since}; it is tried for \
                 {TRIAL} before it is enforced (RFC 8461, section 5)"
            ),
            None => "some domain does not announce the policy as \"testing\" yet (S9)".to_owned(),
        };
        self.wait(POINTER, "S8", until.map(|since| after(since, TRIAL)), what)
    }

    /// S10: no sender can hold a policy from before `none`.
    fn forgotten(&mut self) -> bool {
        const POINTER: &str = "/mta_sts";
        let longest = self.longest_max_age();
        if longest == Span::from_secs(0) {
            return true;
        }
        let none = self.held_since(|it| it.mta_sts.as_ref().is_none_or(|it| !it.acts()));
        // A domain announces a text only where it is served (S9), so then none serves an older one.
        let since = self.facts.policy_shown.max(none);
        let until = self.facts.policy_shown.and(since);
        let what = match until {
            Some(since) => format!(
                "every domain announces the policy \"none\" since {since}; senders keep the one \
                 before for up to {longest} (RFC 8461, section 8.3)"
            ),
            None => "some domain does not announce the policy \"none\" yet (S9)".to_owned(),
        };
        let guard = self.longest(|it| it.timing.destructive_guard);
        // Until the id of before has left the caches, it prolongs the policy that came under it (S2).
        let until = until.and_then(|since| self.facts.served.by(since));
        let until = until.map(|served| after_ttl(served, self.longest_ttl()));
        let until = until.map(|prolonged| after(after(prolonged, longest), guard));
        self.wait(POINTER, "S10", until, what)
    }

    /// Returns how long senders keep any policy that may still be held and that they act on.
    fn longest_max_age(&self) -> Span {
        let policies = self.facts.versions.iter();
        let policies = policies.filter_map(|lapse| lapse.what.mta_sts.as_ref());
        let acting = policies.filter(|policy| policy.acts());
        let ages = acting.map(|policy| policy.max_age);
        ages.max().unwrap_or(Span::from_secs(0))
    }
}

/// Returns the mode of a pool's policy.
fn mode(settings: &PoolSettings) -> Option<MtaStsMode> {
    settings.mta_sts.as_ref().map(|policy| policy.mode)
}
