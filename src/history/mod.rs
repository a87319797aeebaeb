//! What was served when, and until when somebody may still hold it; pure.
//!
//! A [`Timeline`] keeps the versions of one thing: what it was, since when, until when. From a
//! version's TTL, the moment it went off and the greatest expiration of its signatures follow the
//! three horizons ([`cache_horizon`], [`absence_horizon`], [`replay_horizon`]) that every wait of
//! this server is made of. A [`Stay`] is a stretch of time in which a domain's zone said the same,
//! as far as waits go.
//!
//! Versions are kept once per pool where its domains share them: [`Lapse::on`] is the earliest moment
//! of any of them and [`Lapse::off`] the latest, so a wait may be longer by a rollout, never shorter.
//! What is past all its horizons is dropped by [`Timeline::prune`].
//!
//! Nothing here knows what a pool or a step is. Start reading at [`Timeline`].

mod departures;
mod horizon;
mod stay;
mod timeline;

pub use departures::Departures;
pub use horizon::{absence_horizon, cache_horizon, replay_horizon};
pub use stay::{PolicyStay, Stay};
pub use timeline::{Lapse, Timeline};
