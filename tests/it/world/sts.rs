//! MTA-STS policies as senders keep them.
//!
//! The set of all senders again: who fetched a text may keep it for its `max_age` without ever
//! looking again (S18), and may prolong it as long as the id under which it came stands (S2).

use std::rc::Rc;

use mxpool::mail::policy_id;

/// A policy file, read (RFC 8461, section 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// `enforce`, `testing` or `none`.
    pub(crate) mode: String,
    /// For how many seconds it may be kept.
    pub(crate) max_age: u64,
    /// Its patterns.
    pub(crate) mx: Vec<String>,
    /// The file.
    pub(crate) text: String,
}

/// A policy that some sender may hold.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    /// The policy.
    pub(crate) policy: Rc<Policy>,
    /// Under which id it was fetched.
    pub(crate) id: String,
    /// When it was last fetched or prolonged.
    pub(crate) last: u64,
}

/// The policies of one domain in all senders' memories.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    /// What may be held.
    held: Vec<Held>,
    /// Every text the product wanted served, in order; the same text may come again.
    texts: Vec<Option<String>>,
    /// Every id that was announced, in the order of its first announcement, and where among the
    /// texts the one is that it stood for then.
    ids: Vec<(String, Option<usize>)>,
    /// The ids that were announced when it was last looked.
    announced: Vec<String>,
}

impl Policy {
    /// Reads a file.
    pub(crate) fn read(text: &str) -> Self {
        let field = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(": "));
            lines.find(|(name, _)| *name == key).map(|(_, value)| value)
        };
        let lines = text.lines().filter_map(|line| line.strip_prefix("mx: "));
        Self {
            mode: field("mode").unwrap_or("none").to_owned(),
            max_age: field("max_age").and_then(|it| it.parse().ok()).unwrap_or(0),
            mx: lines.map(str::to_owned).collect(),
            text: text.to_owned(),
        }
    }

    /// Returns whether a sender may deliver to a host (RFC 8461, section 4.1).
    pub(crate) fn allows(&self, host: &str) -> bool {
        self.mode != "enforce"
            || self
                .mx
                .iter()
                .any(|pattern| match pattern.strip_prefix("*.") {
                    Some(suffix) => host.split_once('.').is_some_and(|(_, rest)| rest == suffix),
                    None => pattern == host,
                })
    }

    /// Returns whether an id is made over this text: the domain's name out of it, as its pool
    /// writes it.
    fn has_id(&self, id: &str, apex: &str) -> bool {
        let below = format!(".{apex}");
        let lines = self
            .text
            .lines()
            .map(|line| match line.strip_prefix("mx: ") {
                Some(host) => match host.strip_suffix(&below) {
                    Some(relative) => format!("mx: {relative}\n"),
                    None if host.starts_with("*.") => format!("mx: {host}\n"),
                    None => format!("mx: {host}.\n"),
                },
                None => format!("{line}\n"),
            });
        let of_text = policy_id(0, &lines.collect::<String>());
        digest(&of_text) == digest(id)
    }
}

/// Returns the part of an id that comes from the text.
fn digest(id: &str) -> Option<&str> {
    Some(id.split_once('x')?.1)
}

impl Held {
    /// Returns until when it may be held.
    pub(crate) fn until(&self) -> u64 {
        self.last + self.policy.max_age
    }

    /// Returns whether it binds its holder, or is to be replaced before the domain goes.
    pub(crate) fn is_policy(&self) -> bool {
        self.policy.mode != "none"
    }
}

impl Memory {
    /// Notes which text the product wants served.
    pub(crate) fn wanted(&mut self, text: Option<&str>) {
        if self.texts.last().map(Option::as_deref) != Some(text) {
            self.texts.push(text.map(str::to_owned));
        }
    }

    /// Notes that senders saw ids, each until a moment, while policy hosts served texts.
    pub(crate) fn fetch(&mut self, ids: &[(String, u64)], texts: &[Option<String>], now: u64) {
        for (id, until) in ids {
            for text in texts.iter().flatten() {
                let same = |held: &&mut Held| held.id == *id && held.policy.text == *text;
                match self.held.iter_mut().find(same) {
                    Some(held) => held.last = held.last.max(*until),
                    None => self.held.push(Held {
                        policy: Rc::new(Policy::read(text)),
                        id: id.clone(),
                        last: *until,
                    }),
                }
            }
            // Who held it under this id looks at the id alone.
            for held in self.held.iter_mut().filter(|held| held.id == *id) {
                if held.until() > *until {
                    held.last = held.last.max(*until);
                }
            }
        }
        self.held.retain(|held| held.until() > now);
    }

    /// Returns what may be held at `now`.
    pub(crate) fn held(&self, now: u64) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(move |held| held.until() > now)
    }

    /// Notes which ids are announced; returns one that comes back while a sender may hold, under
    /// it, a policy that names other hosts than the one it is to stand for (S2).
    pub(crate) fn announce(
        &mut self,
        ids: &[String],
        text: Option<&str>,
        apex: &str,
    ) -> Option<String> {
        let mut back = None;
        let hosts = text.map(|text| Policy::read(text).mx);
        for id in ids {
            let known = self.ids.iter().any(|(known, _)| known == id);
            let wrong = self.held.iter().any(|held| {
                held.id == *id
                    && held.policy.mode == "enforce"
                    && Some(&held.policy.mx) != hosts.as_ref()
            });
            if known && wrong && !self.announced.contains(id) {
                back = Some(id.clone());
            }
            if !known {
                let place = self.place_of(id, apex);
                self.ids.push((id.clone(), place));
            }
        }
        self.announced = ids.to_vec();
        back
    }

    /// Returns where among the texts that were wanted the last one of an id is.
    fn place_of(&self, id: &str, apex: &str) -> Option<usize> {
        self.texts.iter().rposition(|text| {
            let policy = text.as_deref().map(Policy::read);
            policy.is_some_and(|policy| policy.has_id(id, apex))
        })
    }

    /// Returns whether a text is served although an announced id stands for a later one (S9).
    pub(crate) fn outrun(&self, ids: &[String], texts: &[Option<String>], apex: &str) -> bool {
        ids.iter().any(|id| {
            // What the id stood for when it was first announced: the text may come again.
            let known = self.ids.iter().find(|(known, _)| known == id);
            let of_id = known.map_or_else(|| self.place_of(id, apex), |(_, place)| *place);
            // Who finds no file keeps no policy; who finds an old one keeps it under the new id.
            texts.iter().filter(|text| text.is_some()).any(|text| {
                let served = self.texts.iter().rposition(|wanted| wanted == text);
                of_id.is_some() && served < of_id
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "version: STSv1\r\nmode: enforce\r\nmax_age: 1000\r\nmx: mx1.infra.test\r\n";
    const NEW: &str = "version: STSv1\r\nmode: enforce\r\nmax_age: 1000\r\nmx: mx2.infra.test\r\n";

    fn id(revision: u64, text: &str) -> String {
        let host = text.replace("\r\n", "\n").replace(".test\n", ".test.\n");
        policy_id(revision, &host)
    }

    #[test]
    fn s18_a_policy_is_kept_for_its_whole_max_age() {
        let mut memory = Memory::default();
        memory.fetch(&[("1".to_owned(), 50)], &[Some(OLD.to_owned())], 50);

        assert_eq!(memory.held(1049).count(), 1);
        assert_eq!(memory.held(1050).count(), 0);
    }

    #[test]
    fn s2_a_policy_is_prolonged_while_its_id_stands() {
        let mut memory = Memory::default();
        memory.fetch(&[("1".to_owned(), 50)], &[Some(OLD.to_owned())], 50);
        memory.fetch(&[("1".to_owned(), 900)], &[Some(NEW.to_owned())], 900);

        assert_eq!(memory.held(1800).count(), 2);
    }

    #[test]
    fn s2_an_id_that_comes_back_is_told() {
        let mut memory = Memory::default();

        let seen = [("a".to_owned(), 50)];
        assert_eq!(
            memory.announce(&["a".to_owned()], Some(OLD), "d.test"),
            None
        );
        memory.fetch(&seen, &[Some(OLD.to_owned())], 50);
        memory.fetch(&seen, &[Some(NEW.to_owned())], 50);
        assert_eq!(
            memory.announce(&["b".to_owned()], Some(NEW), "d.test"),
            None
        );
        let back = memory.announce(&["a".to_owned()], Some(OLD), "d.test");
        assert_eq!(back, Some("a".to_owned()));
    }

    #[test]
    fn s9_an_id_before_its_text_is_told_and_a_text_before_its_id_is_not() {
        let mut memory = Memory::default();
        memory.wanted(Some(OLD));
        memory.wanted(Some(NEW));
        let served = |text: &str| [Some(text.to_owned())];

        assert!(memory.outrun(&[id(2, NEW)], &served(OLD), "d.test"));
        assert!(!memory.outrun(&[id(2, NEW)], &served(NEW), "d.test"));
        assert!(!memory.outrun(&[id(1, OLD)], &served(NEW), "d.test"));
    }

    #[test]
    fn a_pattern_stands_for_one_label() {
        let policy = Policy::read("mode: enforce\r\nmax_age: 1\r\nmx: *.infra.test\r\n");

        assert!(policy.allows("mx1.infra.test") && !policy.allows("a.mx1.infra.test"));
    }
}
