//! The rules of a domain's life, by name.

/// Lists every rule: variant, name, formula, source, sentence for operators.
macro_rules! rules {
    ($($variant:ident $id:literal, $formula:literal, $source:literal, $sentence:literal;)*) => {
        /// A rule of a domain's life; the crate's documentation of this room lists them all.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = concat!($id, ": ", $sentence)] $variant,)*
        }

        impl Rule {
            /// Every rule, in the order of a life.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the rule's name, as the API and the audit log write it.
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$variant => $id,)*
                }
            }

            /// Returns the earliest moment that the rule allows, or what it asks.
            pub const fn formula(self) -> &'static str {
                match self {
                    $(Self::$variant => $formula,)*
                }
            }

            /// Returns where the rule comes from.
            pub const fn source(self) -> &'static str {
                match self {
                    $(Self::$variant => $source,)*
                }
            }

            /// Returns the rule in a sentence for operators.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence,)*
                }
            }
        }
    };
}

rules! {
    T0 "T0", "signed on every server, then NS, then DS", "RFC 7583, 3.3.5", "The zone is served before the registrar is told of it.";
    T1 "T1", "max(A1, A2, A2', A4, A5, A6, A7, A3, A9)", "RFC 2308, 5", "A domain becomes active when the world can reach it.";
    T2 "T2", "no new addresses; DNS as it was", "RFC 5321, 4.5.4.1", "A draining domain takes mail and hands out nothing.";
    T3 "T3", "max(R1, R2, R3, R4)", "RFC 7505, 4.1", "The null MX comes when nothing can be lost by it.";
    T4 "T4", "max(X1, X2, X3, X4, X5, X6)", "RFC 8461, 8.3", "A name is given up when nobody can need it.";
    T5 "T5", "restored + Dc + max(T of the null MX, Neg) + 24 h", "RFC 7505, 4.1", "A retired domain that comes back hands out addresses only when no cache holds the null MX.";
    A1 "A1", "NS seen at every parent server + Dp + Negp + G", "RFC 2308, 5; RFC 8198, 5.1", "No resolver remembers that the name did not exist.";
    A2 "A2", "published + Dc + Neg of before + G", "RFC 2308, 5; RFC 8198, 5.4", "No resolver remembers that the records did not exist.";
    A2Prime "A2'", "end of each null MX + Dc + T + G", "RFC 7505, 4.1", "No cache holds a version under which mail could not be delivered.";
    A3 "A3", "DS seen at every parent server + Dp + Negp + G", "RFC 7583, 3.3.5", "The DS is in force; before that the domain is merely insecure.";
    A4 "A4", "every host seen ready twice, T of the MX apart, + G", "RFC 5321, 4.5.4.1", "The mail hosts answer.";
    A5 "A5", "NS ours everywhere + Dp + T of the delegation before + G", "RFC 9199, 3.6.1", "No cache holds another's delegation of the name.";
    A6 "A6", "no foreign DS, and Dp + T of the DS + G since the last one", "RFC 4035, 2.2", "A DS that matches none of our keys makes every answer bogus.";
    A7 "A7", "own MTA-STS published for a name with a previous owner + G", "RFC 8461, 3.1", "Senders may hold the previous owner's policy for a year; a new id ends it.";
    A8 "A8", "every mail host has applied a routing that accepts the domain", "RFC 5321, 3.6.3", "The first address is handed out when the mail hosts know the domain.";
    A9 "A9", "the registration has not ended", "RFC 5731, 2.5", "A name whose registration has lapsed may lead elsewhere any day.";
    R1 "R1", "last hand-out + drain", "RFC 5321, 5.1", "Addresses live as long as was promised.";
    R2 "R2", "our last deferral + Qmax", "RFC 5321, 4.5.4.1", "What we deferred is tried again; it must not meet the null MX.";
    R3 "R3", "end of each version with a longer TTL + Dc + T", "RFC 1035, 3.2.1", "A lowered TTL counts when the longer one has left the caches.";
    R4 "R4", "end of sending + Qmax", "RFC 5321, 4.5.4.1", "Answers to what the domain sent find their way back.";
    X1 "X1", "null MX + Dc + T of the old MX + G", "RFC 1035, 3.2.1", "No cache holds the old MX.";
    X2 "X2", "last announced policy with a mode other than none + Dc + T of its TXT + max_age", "RFC 8461, 8.3", "No sender holds an MTA-STS policy.";
    X3 "X3", "end of each MX at our hosts + lifetime of signatures", "RFC 7671, 13", "No signed old answer can be replayed.";
    X4 "X4", "no zone of ours names a host in the domain", "RFC 7671, 13", "Nothing else depends on the name.";
    X5 "X5", "null MX + quarantine, and fewer MX queries a day than query_floor", "RFC 7505, 4.1", "The world has stopped writing to the name.";
    X6 "X6", "the registration outlives X1 to X5", "RFC 5731, 3.2", "A name that lapses is worse than one that is deleted: renew it once more.";
    L3 "L3", "a null-MX domain sends nothing", "RFC 7505, 4.2", "Receivers may refuse mail from a domain that takes none.";
    L4 "L4", "no address at the apex", "RFC 5321, 5.1", "Without an MX, mail would go to the address.";
    L5 "L5", "A1 counts Negp always", "RFC 8198, 5.1", "A range proof denies names that nobody asked for.";
    L6 "L6", "standby: 450; postmaster and abuse accepted", "RFC 5321, 4.5.1", "A 5xx today is a suppressed address tomorrow.";
    L7 "L7", "max over null MX versions of end + Dc + T + G", "RFC 7505, 4.1", "A standby domain has its final MX already: a null one would hold its activation back.";
    L8 "L8", "null MX + Dc + T of the old MX + G", "RFC 5321, 3.6.2", "The mail host answers for the domain as long as a cache may lead there.";
    L14 "L14", "references to a host are zero", "RFC 7671, 13", "What mail still refers to is not removed.";
    L15 "L15", "every MX of the zone in one version", "RFC 4592, 2.2.1", "The wildcard's MX moves with the apex.";
    S1 "S1", "one TXT that begins with v=STSv1", "RFC 8461, 3.1", "Two policies announced are none.";
    S2 "S2", "an id never stands for two texts", "RFC 8461, 3.1", "Senders keep a policy while its id stands.";
    S3 "S3", "status 200, text/plain, no redirect", "RFC 8461, 3.3", "The policy host serves the file as it is.";
    S4 "S4", "CRLF, version, mode, max_age, mx", "RFC 8461, 3.2", "The policy names every MX.";
    S8 "S8", "testing for a week before enforce", "RFC 8461, 5", "MTA-STS begins with testing.";
    S9 "S9", "the text on every policy host, then its id", "RFC 8461, 8.1", "A sender that sees the new id must find the new text.";
    S10 "S10", "mode none until X2, then neither TXT nor host", "RFC 8461, 8.3", "MTA-STS ends with none.";
    S18 "S18", "no wait is shorter because senders ought to look again", "RFC 8461, 5.1", "Some senders keep a policy for all of its max_age.";
    I1 "I1", "never a null MX beside another", "RFC 7505, 3", "A zone takes mail or it does not.";
    I2 "I2", "every MX target has an address and no CNAME", "RFC 2181, 10.3", "A host can be reached.";
    I3 "I3", "an MX target matches every policy inside its max_age", "RFC 8461, 8.4", "A sender on an old policy has a host.";
    I4 "I4", "no step before its time unless forced with a reason", "RFC 7583, 3", "Force is logged.";
    I5 "I5", "no withdrawal while a listed server lags or fails, nor for 3 d after none answered", "RFC 8767, 5", "What every server has replaced, and no stale cache serves, may go.";
    I6 "I6", "retired zones are signed again", "RFC 6781, 4.4.1", "A null MX that expires bounces nothing, it defers.";
    I7 "I7", "a DS at the parent matches a key", "RFC 4035, 2.2", "A key stays while its DS stands.";
    I8 "I8", "delegation gone at every parent server + Dp + T of the NS + G", "RFC 6781, 4.3.3", "A zone stays while its parent delegates to us.";
    K24 "K24", "TTLs of the parent as measured, the largest seen", "RFC 2308, 5", "Each registry has TTLs of its own.";
    K25 "K25", "standby domains wanted", "RFC 8078, 3.3", "A pool keeps ready what it will burn.";
    K28 "K28", "restored + 24 h + the longest horizon", "RFC 6781, 4.2.4", "After a restore nothing is withdrawn that the lost days may have promised.";
    K29 "K29", "one parent server a domain and day; 20 queries a second and registry", "RFC 9199, 3.6", "Watching costs others.";
    M4 "M4", "address and TLSA out of negative caches, policy line announced", "RFC 7672, 2.2.1; RFC 8461, 8.1", "A host joins the MX when everybody can use it.";
    N1 "N1", "its key in TLSA + Dc + 2 T", "RFC 7671, 8.1", "A new address comes when its key is known.";
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id())
    }
}

/// The rules that hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rulebook {
    /// Those that are left out.
    without: Vec<Rule>,
}

impl Rulebook {
    /// Returns all rules.
    pub const fn standard() -> Self {
        Self {
            without: Vec::new(),
        }
    }

    /// Leaves a rule out: what it bounds is not bounded.
    ///
    /// No server does that. It is for tests which show that each rule is needed.
    #[must_use]
    pub fn without(mut self, rule: Rule) -> Self {
        self.without.push(rule);
        self
    }

    /// Returns whether a rule holds.
    pub fn holds(&self, rule: Rule) -> bool {
        !self.without.contains(&rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rooms_documentation_lists_every_rule_as_it_is() {
        let text = include_str!("mod.rs");
        for rule in Rule::ALL {
            let row = format!(
                "//! | {} | {} | {} | {} |",
                rule.id(),
                rule.formula(),
                rule.source(),
                rule.sentence()
            );
            assert!(text.lines().any(|line| line == row), "missing: {row}");
        }
        let rows = text.lines().filter(|line| line.starts_with("//! | "));
        let rules = rows.filter(|line| !line.starts_with("//! | rule |"));
        assert_eq!(rules.count(), Rule::ALL.len(), "a row of no rule");
    }

    #[test]
    fn an_operator_finds_every_rule_in_the_readme() {
        let text = include_str!("../../README.md");
        for rule in Rule::ALL {
            let (id, sentence, source) = (rule.id(), rule.sentence(), rule.source());
            let row = format!("| {id} | {sentence} | {source} |");
            assert!(text.lines().any(|line| line == row), "missing: {row}");
        }
    }

    #[test]
    fn no_two_rules_share_a_name() {
        let mut names: Vec<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Rule::ALL.len());
    }

    #[test]
    fn a_rule_left_out_is_the_only_one_that_does_not_hold() {
        let book = Rulebook::standard().without(Rule::X3);
        assert!(!book.holds(Rule::X3));
        assert!(book.holds(Rule::X2));
    }
}
