//! `/v1/domains/{name}/caches`: what the world may still hold.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, json as answer};
use super::problem::Problem;
use crate::clock::Timestamp;
use crate::engine::{Held, HeldWhat};

/// Returns every version of every RRset and policy of a domain that somebody may hold at a moment.
pub(super) async fn read(call: Call) -> Result<Response, Problem> {
    let params = call.params(&["at"]);
    let at: Option<Timestamp> = params.parsed("at");
    params.finish()?;
    let name = call.apex("name")?;
    let at = at.unwrap_or_else(|| call.api.engine.now());
    let held = call.api.engine.view().caches(&name, at);
    let held = held.ok_or_else(|| Problem::not_found("domain", call.segment("name")))?;
    let items: Value = held.iter().map(show_held).collect();
    let document = json!({"at": at.to_string(), "items": items});
    Ok(answer(StatusCode::OK, &document))
}

/// Returns one version that somebody may hold.
fn show_held(held: &Held) -> Value {
    let moment = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let mut document = match &held.what {
        HeldWhat::Rrset {
            owner,
            rtype,
            ttl,
            records,
        } => json!({
            "owner": owner,
            "type": rtype.to_string(),
            "ttl": ttl.as_secs(),
            "records": records,
        }),
        HeldWhat::Policy { acts, max_age } => json!({
            "policy": {"acts": acts, "max_age": max_age.as_secs()},
        }),
    };
    document["on"] = json!(held.on.to_string());
    document["off"] = json!(moment(held.off));
    document["cache_until"] = json!(moment(held.cache_until));
    document["replay_until"] = json!(moment(held.replay_until));
    document
}
