//! For how long signatures hold, and which TTLs go with that.

use std::time::Duration;

use ring::digest::{SHA256, digest};

use crate::clock::{Span, Timestamp};
use crate::wire::{Algorithm, Apex, Ttl};
use crate::zone::{
    LONGEST_LIFETIME, SHORTEST_LIFETIME, TtlBound, UnsignedZone, Validity, ttl_beyond,
};

/// How zones are signed: with what, and for how long.
///
/// Made only with times that cannot break a zone; what may be wanted but is odd are
/// [`SigningPolicy::warnings`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningPolicy {
    /// What new keys sign with.
    algorithm: Algorithm,
    /// The TTL of the key records.
    dnskey_ttl: Ttl,
    /// How long a signature is valid from its making on.
    lifetime: Span,
    /// What must be left of a signature; with less it is made anew.
    refresh: Span,
}

/// Times that would break a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningPolicyError {
    /// Clocks of validators part by more than so short a validity bears.
    #[error("expected a signature lifetime of at least {SHORTEST_LIFETIME}, found {lifetime}")]
    LifetimeTooShort {
        /// The lifetime that was found.
        lifetime: Span,
    },
    /// Half the 32 bits that RRSIG counts in is where earlier and later change places.
    #[error("expected a signature lifetime of at most {LONGEST_LIFETIME}, found {lifetime}")]
    LifetimeTooLong {
        /// The lifetime that was found.
        lifetime: Span,
    },
    /// Signatures would be made anew all the time.
    #[error("expected a signature refresh below the lifetime of {lifetime}, found {refresh}")]
    RefreshTooLong {
        /// The refresh that was found.
        refresh: Span,
        /// The lifetime.
        lifetime: Span,
    },
    /// Caches could hold a record for most of its signature's life.
    #[error(
        "expected TTLs below a third of the signature lifetime of {lifetime}, found {ttl} seconds"
    )]
    TtlTooLong {
        /// The TTL that was found.
        ttl: Ttl,
        /// The lifetime.
        lifetime: Span,
    },
    /// A record taken just before its signature is renewed would outlive it in a cache.
    #[error("expected TTLs of at most the signature refresh of {refresh}, found {ttl} seconds")]
    TtlBeyondExpiration {
        /// The TTL that was found.
        ttl: Ttl,
        /// The refresh.
        refresh: Span,
    },
}

/// Times that work but leave little room, or that test kits complain about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SigningPolicyWarning {
    /// A secondary that was cut off would serve signatures that have expired.
    #[error("the signature refresh of {refresh} is below the SOA's expire of {expire} seconds")]
    RefreshBelowExpire {
        /// The refresh.
        refresh: Span,
        /// The SOA's expire field in seconds.
        expire: u32,
    },
    /// Little time is left to repair a signer that stopped.
    #[error(
        "the signature refresh of {refresh} leaves less than 12 h to repair a stopped signer \
         (test kits complain)"
    )]
    LittleTimeToRepair {
        /// The refresh.
        refresh: Span,
    },
    /// What is withdrawn can be replayed for long.
    #[error("the signature lifetime of {lifetime} is above 180 d (test kits complain)")]
    LongLifetime {
        /// The lifetime.
        lifetime: Span,
    },
}

/// How far back signatures begin to be valid: a validator's clock may be behind by that.
const INCEPTION_OFFSET: Duration = Duration::from_secs(3_600);
/// The widest spread of expirations over a pool.
const MAX_JITTER: u32 = 86_400;

impl SigningPolicy {
    /// Takes times that cannot break a zone.
    ///
    /// # Errors
    ///
    /// All that is wrong with them.
    pub fn new(
        algorithm: Algorithm,
        dnskey_ttl: Ttl,
        lifetime: Span,
        refresh: Span,
    ) -> Result<Self, Vec<SigningPolicyError>> {
        let mut errors = Vec::new();
        if lifetime < SHORTEST_LIFETIME {
            errors.push(SigningPolicyError::LifetimeTooShort { lifetime });
        }
        if lifetime > LONGEST_LIFETIME {
            errors.push(SigningPolicyError::LifetimeTooLong { lifetime });
        }
        if refresh >= lifetime {
            errors.push(SigningPolicyError::RefreshTooLong { refresh, lifetime });
        }
        let policy = Self {
            algorithm,
            dnskey_ttl,
            lifetime,
            refresh,
        };
        errors.extend(policy.check_ttl(dnskey_ttl).err());
        if errors.is_empty() {
            Ok(policy)
        } else {
            Err(errors)
        }
    }

    /// Checks that a record with this TTL never outlives its signature in a cache.
    ///
    /// # Errors
    ///
    /// Names the bound that it is beyond.
    pub fn check_ttl(&self, ttl: Ttl) -> Result<(), SigningPolicyError> {
        let (lifetime, refresh) = (self.lifetime, self.refresh);
        match ttl_beyond(ttl, lifetime, refresh) {
            None => Ok(()),
            Some(TtlBound::Lifetime) => Err(SigningPolicyError::TtlTooLong { ttl, lifetime }),
            Some(TtlBound::Refresh) => {
                Err(SigningPolicyError::TtlBeyondExpiration { ttl, refresh })
            }
        }
    }

    /// Checks the TTL of every RRset of a zone.
    ///
    /// # Errors
    ///
    /// About the largest TTL, as [`SigningPolicy::check_ttl`].
    pub fn check_zone(&self, zone: &UnsignedZone) -> Result<(), SigningPolicyError> {
        let rrsets = zone.template().rrsets().iter().chain(zone.own());
        let ttls = rrsets.map(|rrset| rrset.ttl).chain([zone.negative_ttl()]);
        ttls.max().map_or(Ok(()), |ttl| self.check_ttl(ttl))
    }

    /// Returns what works but should be thought over, given the SOA's expire field.
    pub fn warnings(&self, soa_expire: u32) -> Vec<SigningPolicyWarning> {
        let (lifetime, refresh) = (self.lifetime, self.refresh);
        let mut warnings = Vec::new();
        if refresh.as_secs() < soa_expire {
            warnings.push(SigningPolicyWarning::RefreshBelowExpire {
                refresh,
                expire: soa_expire,
            });
        }
        if refresh.as_secs() < 12 * 3_600 {
            warnings.push(SigningPolicyWarning::LittleTimeToRepair { refresh });
        }
        if lifetime.as_secs() > 180 * 86_400 {
            warnings.push(SigningPolicyWarning::LongLifetime { lifetime });
        }
        warnings
    }

    /// Returns what new keys sign with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the TTL of the key records.
    pub fn dnskey_ttl(&self) -> Ttl {
        self.dnskey_ttl
    }

    /// Returns how long a signature is valid from its making on, jitter not taken off.
    pub fn lifetime(&self) -> Span {
        self.lifetime
    }

    /// Returns what must be left of a signature; with less it is made anew.
    pub fn refresh(&self) -> Span {
        self.refresh
    }

    /// Returns the widest jitter: a day, or a quarter of what lies between two signings.
    pub fn max_jitter(&self) -> Span {
        let between = self
            .lifetime
            .as_secs()
            .saturating_sub(self.refresh.as_secs());
        Span::from_secs((between / 4).min(MAX_JITTER))
    }

    /// Returns by how much the signatures of a zone expire earlier than the lifetime says.
    ///
    /// Always the same for one zone and spread evenly over the zones of a pool, so that zones
    /// made in one second are not signed again in one second.
    pub fn jitter(&self, apex: &Apex) -> Span {
        let hash = digest(&SHA256, apex.as_wire());
        let head = hash.as_ref().first_chunk().copied().unwrap_or_default();
        let steps = u64::from(self.max_jitter().as_secs()) + 1;
        // A remainder below 86 401 of 64 bits: even to one part in 2^47.
        Span::from_secs((u64::from_be_bytes(head) % steps) as u32)
    }

    /// Returns the validity of signatures that are made now.
    pub fn validity(&self, apex: &Apex, now: Timestamp) -> Validity {
        let life = self.lifetime.as_secs() - self.jitter(apex).as_secs();
        let expiration = now.saturating_add(Duration::from_secs(life.into()));
        Validity {
            inception: now.saturating_sub(INCEPTION_OFFSET).to_rrsig_time(),
            expiration: expiration.to_rrsig_time(),
        }
    }
}

impl Default for SigningPolicy {
    /// Returns three weeks, renewed with two left, under P-256.
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            dnskey_ttl: Ttl::from_secs(3_600),
            lifetime: Span::from_secs(21 * 86_400),
            refresh: Span::from_secs(14 * 86_400),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a policy out of texts.
    fn policy(
        ttl: u32,
        lifetime: &str,
        refresh: &str,
    ) -> Result<SigningPolicy, Vec<SigningPolicyError>> {
        SigningPolicy::new(
            Algorithm::default(),
            Ttl::from_secs(ttl),
            lifetime.parse().unwrap(),
            refresh.parse().unwrap(),
        )
    }

    #[test]
    fn the_default_is_a_policy_without_warnings() {
        let default = SigningPolicy::default();

        assert_eq!(policy(3_600, "21d", "14d"), Ok(default.clone()));
        assert_eq!(default.warnings(1_209_600), []);
        assert_eq!(default.max_jitter(), "1d".parse().unwrap());
    }

    #[test]
    fn lifetimes_of_hours_are_warned_of_and_work() {
        let short = policy(60, "1h", "30m").unwrap();

        assert_eq!(
            short.warnings(3_600),
            [
                SigningPolicyWarning::RefreshBelowExpire {
                    refresh: "30m".parse().unwrap(),
                    expire: 3_600,
                },
                SigningPolicyWarning::LittleTimeToRepair {
                    refresh: "30m".parse().unwrap(),
                },
            ]
        );
        assert_eq!(short.max_jitter(), Span::from_secs(450));
    }

    #[test]
    fn times_that_break_a_zone_are_refused_all_at_once() {
        assert!(matches!(
            policy(3_600, "59m", "1h").unwrap_err()[..],
            [
                SigningPolicyError::LifetimeTooShort { .. },
                SigningPolicyError::RefreshTooLong { .. },
                SigningPolicyError::TtlTooLong { .. },
            ]
        ));
        assert!(matches!(
            policy(3_600, "36500d", "14d").unwrap_err()[..],
            [SigningPolicyError::LifetimeTooLong { .. }]
        ));
    }

    #[test]
    fn a_ttl_of_a_third_of_the_lifetime_or_beyond_the_refresh_is_refused() {
        assert!(policy(3_599, "3h", "2h").is_ok());
        assert!(matches!(
            policy(3_600, "3h", "2h").unwrap_err()[..],
            [SigningPolicyError::TtlTooLong { .. }]
        ));
        assert!(policy(1_800, "3h", "30m").is_ok());
        assert!(matches!(
            policy(1_801, "3h", "30m").unwrap_err()[..],
            [SigningPolicyError::TtlBeyondExpiration { .. }]
        ));
    }

    #[test]
    fn jitter_is_the_zones_own_and_spread_over_the_pool() {
        let policy = SigningPolicy::default();
        let day = policy.max_jitter().as_secs();
        let jitter = |n: u32| {
            policy
                .jitter(&Apex::parse(&format!("d{n}.example")).unwrap())
                .as_secs()
        };

        let mut hours = [0; 24];
        for n in 0..2_400 {
            assert_eq!(jitter(n), jitter(n));
            assert!(jitter(n) <= day);
            hours[(jitter(n) / 3_601) as usize] += 1;
        }

        // A hundred zones are expected in each hour; chance keeps far inside these bounds.
        assert!(
            hours.iter().all(|zones| (50..=150).contains(zones)),
            "{hours:?}"
        );
    }

    #[test]
    fn a_validity_begins_an_hour_ago_and_ends_a_lifetime_less_jitter_ahead() {
        let policy = SigningPolicy::default();
        let apex = Apex::parse("b.example").unwrap();
        let now = Timestamp::from_secs(1_800_000_000);

        let validity = policy.validity(&apex, now);

        assert_eq!(validity.inception, 1_800_000_000 - 3_600);
        let jitter = policy.jitter(&apex).as_secs();
        assert_eq!(validity.expiration, 1_800_000_000 + 21 * 86_400 - jitter);
    }
}
