//! mxpool: an authoritative, DNSSEC-signing DNS server for pools of throwaway mail domains.
//!
//! # The idea
//!
//! A pool of mail domains is thousands of zones of one shape, so the server keeps one *template* per
//! pool and per domain only what differs: its name, its keys, its signatures, its life. One *writer*
//! turns wishes (the API, manifests, the clock) into durable facts, renders and signs the zones they
//! imply, and publishes them as immutable *zone images*. The *data plane* answers from those images,
//! octets in and octets out, and holds no key, no store and no lock. What happens over time is a
//! pure *plan*: given the facts and the present moment, it returns what is due and what each later
//! step waits for, so that every claim about time is tested in simulated time.
//!
//! ```text
//! API / manifest / timer ─► engine::Change
//!    plan      the writer, microseconds: what would it do, and on which facts does that rest?
//!    prepare   worker threads at background priority: keys, render, sign, compose
//!    commit    the writer: facts, keys, signatures, audit in one durable transaction, grouped
//!    publish   zone by zone, cannot fail; readers never wait
//!    answer    the change is durable and served
//!
//! datagram or stream ─► server ─► zone::answer(set, query, asker, now, reply) ─► out
//! ```
//!
//! * **Single writer.** It never signs and never waits for a preparation, so a small change
//!   overtakes a large one; a change that was overtaken is planned again. A failed change alters
//!   nothing that is served, and there is no moment at which facts are durable and their signatures
//!   are not.
//! * **What is stored.** Per domain its facts, its sealed key and a versioned signed zone: the id of
//!   its template, its own RRsets, its signatures. A template is rendered once, immutable, named by
//!   its content's hash. A restart neither renders nor signs: another release's way to write a TXT
//!   record would make every stored signature bogus.
//! * **Published set.** Apex to image, with lock-free reads and a swap per domain; a query sees one
//!   image from beginning to end. Denial of existence is composed beforehand: a flood of random
//!   names costs no signature.
//! * **Revision.** Counts accepted changes of intent, one a call; signing again does not move it.
//! * **Keys.** Random per domain, sealed in the store under the key in `keys/`, opened by a
//!   preparation in order to sign and wiped after.
//! * **Time.** Signing again is spread over the pool by a hash of the apex; serials only grow;
//!   nothing in the whole pool happens at the same second unless asked.
//!
//! # The rooms
//!
//! A room imports from rooms of a lower rank only; `tests/architecture.rs` reads every `use` and
//! names what breaks this.
//!
//! | rank | room | what it is for |
//! |---:|---|---|
//! | 0 | [`clock`] | moments, spans, and the one door to the system's clock |
//! | 0 | [`document`] | JSON documents, read with every fault and its place |
//! | 0 | [`publication`] | one writer hands immutable values to many readers |
//! | 0 | [`wire`] | DNS words and octets: names, types, RDATA, messages, master files, key pairs; the only door to `hickory-proto` and `domain` |
//! | 1 | [`history`] | what was served when, and until when somebody may hold it; pure |
//! | 1 | [`metrics`] | every metric, its name, help and labels |
//! | 1 | [`zone`] | zone data as served: RRsets, denial, images, lookup, the published set, answers |
//! | 2 | [`dnssec`] | sealing, signing keys, signing policy, signatures; pure |
//! | 2 | [`mail`] | from a pool's intent to RRsets and to the MTA-STS policy; refusals of what breaks mail |
//! | 3 | [`lifecycle`] | the states of a domain and the steps between them; pure |
//! | 4 | [`store`] | durable facts behind one small trait; LMDB, memory for tests; backups |
//! | 5 | [`engine`] | the control plane: the one writer |
//! | 5 | [`routing`] | what mail hosts may accept, told to Postfix; uses `mail`, `wire`, `publication`, `metrics` and `clock` alone |
//! | 5 | [`server`] | the data plane: UDP and TCP; uses `wire`, `zone`, `publication`, `metrics` and `clock` alone |
//! | 5 | [`watch`] | observation: parents, listed servers, resolvers, mail hosts and policy hosts; uses ranks 0 to 3 |
//! | 7 | [`api`] | the admin API over HTTP; uses `engine` and ranks 0 to 3, never `store` or `server` |
//! | 8 | [`cli`] | the command line and its client commands; speaks HTTP only |
//! | 8 | [`config`] | `mxpool.toml` and the environment |
//! | 9 | [`daemon`] | start order, sockets, signals, shutdown; `main.rs` calls it |
//!
//! Further rules, held by the same test: no path leads from `server` to `store`, `dnssec` or
//! `engine`; ranks 0 to 3 know no `tokio`, no `std::fs`, no sockets and no system clock outside
//! [`clock::SystemClock`]; only `config` and `cli` know TOML and the environment. When a rule is in
//! the way, a type moves or a room is split; there is no list of exceptions.
//!
//! Start reading at [`zone`] for what is served, [`engine`] for how it changes, and [`daemon`] for
//! how it all starts.

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod dnssec;
pub mod document;
pub mod engine;
pub mod history;
pub mod lifecycle;
pub mod mail;
pub mod metrics;
pub mod publication;
pub mod routing;
pub mod server;
pub mod store;
pub mod watch;
pub mod wire;
pub mod zone;
