//! A simulated world: the product lives through months of chance, and no message may be lost.
//!
//! The real engine runs on a store in memory under a clock moved by hand; around it stand models
//! of name servers that lag, parents that publish late, resolvers as the set of everything that
//! any cache may hold, mail hosts that apply late, and senders with their queues, policies and
//! keys. A [`story::Story`] is a world and what happens in it, made from a seed; [`play::play`]
//! moves from event to event, and around each of them [`check`] asks what any mix of cached data
//! does to a message, and whether what the world saw allows the steps that the product took.
//!
//! The checks know no formula of the product's. A story that fails is made short by [`shrink`] and
//! printed in words; stories that once failed stay in `pinned`. That the checks can fail is shown by
//! mutants: the product without one of its rules, or with something wrong at its border.

// Figures are the point of the run; the world is the room's noun.
#![allow(
    clippy::module_inception,
    clippy::print_stdout,
    clippy::type_complexity,
    clippy::collapsible_if,
    clippy::match_like_matches_macro
)]

mod check;
mod check_mail;
mod check_policies;
mod check_steps;
mod checks;
mod dns;
mod drawn;
mod engine;
mod facts;
mod hosts;
mod mutants;
mod parent;
mod pinned;
mod play;
mod product;
mod random;
mod rules;
mod sender;
mod shrink;
mod story;
mod sts;
mod tamper;
mod tell;
mod toy;
mod trail;
mod world;
