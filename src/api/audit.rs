//! The audit log, read.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, blocking, json as answer};
use super::problem::Problem;
use super::zones::internal;

/// The most entries of an answer.
const MOST: u64 = 1_000;
/// How many entries an answer has when nothing is said.
const USUAL: u64 = 100;

/// Returns who changed what, oldest first.
pub(super) async fn list(call: Call) -> Result<Response, Problem> {
    let params = call.params(&["after", "limit"]);
    let after = params.number("after", 0, u64::MAX, 0);
    let limit = params.number("limit", 1, MOST, USUAL) as usize;
    params.finish()?;
    let engine = call.api.engine.clone();
    // One more than asked for tells whether the list goes on.
    let found = blocking(move || engine.audit(after, limit + 1)).await?;
    let mut records = found.map_err(|error| internal(&error))?;
    let more = records.len() > limit;
    records.truncate(limit);
    let next = records.last().filter(|_| more).map(|(number, _)| *number);
    let items = records.into_iter().map(|(number, record)| {
        let changes = record.changes.iter().map(|change| {
            json!({
                "op": change.op,
                "subject": change.subject,
                "before": document(change.before.as_deref()),
                "after": document(change.after.as_deref()),
            })
        });
        json!({
            "n": number,
            "at": record.at.to_string(),
            "revision": record.revision,
            "actor": record.actor,
            "reason": record.reason,
            "changes": changes.collect::<Vec<_>>(),
        })
    });
    let items: Vec<Value> = items.collect();
    Ok(answer(
        StatusCode::OK,
        &json!({"items": items, "next": next}),
    ))
}

/// Returns a document that is kept as text.
fn document(text: Option<&str>) -> Value {
    text.map_or(Value::Null, |text| {
        serde_json::from_str(text).unwrap_or_else(|_| json!(text))
    })
}
