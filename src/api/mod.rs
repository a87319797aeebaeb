//! The admin API: HTTP/1.1 in, changes and reads of the engine out.
//!
//! Every request goes through `edge` (who asks, how long it took), becomes a `Call` (path, query,
//! headers, body) and is answered by a handler: one file a noun, `pools` to `backup`. What is wrong is a `Problem` (RFC 9457), with a JSON
//! pointer for each field. `routes` is the one list of what there is: the router and the OpenAPI
//! document are both made from it.
//!
//! Nothing here decides whether a change is right: documents are turned into the engine's steps,
//! and its refusals back into pointers of the document. Never touches the store or the data plane.
//!
//! Start reading at [`router`].

mod adding;
mod audit;
mod backup;
mod body;
mod caches;
mod call;
mod change;
mod changes;
mod counts;
mod delegations;
mod domains;
mod edge;
mod health;
mod lives;
mod openapi;
mod params;
mod pools;
mod problem;
mod refusal;
mod rotation;
mod routes;
mod routing;
mod rrsets;
mod schema;
mod scope;
mod show;
mod steps;
mod stream;
mod wait;
mod zones;

pub use edge::router;
pub use openapi::openapi;
