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

/// Returns who changed what, oldest first: from the beginning, behind an entry, or the last ones.
pub(super) async fn list(call: Call) -> Result<Response, Problem> {
    let newest = call
        .params(&["after", "last", "limit"])
        .text("last")
        .is_some();
    let params = call.params(if newest {
        &["last"]
    } else {
        &["after", "last", "limit"]
    });
    let after = params.number("after", 0, u64::MAX, 0);
    let limit = if newest { "last" } else { "limit" };
    let limit = params.number(limit, 1, MOST, USUAL) as usize;
    params.finish()?;
    let engine = call.api.engine.clone();
    let found = blocking(move || match newest {
        true => engine.newest_audit(limit),
        // One more than asked for tells whether the list goes on.
        false => engine.audit(after, limit + 1),
    });
    let mut records = found.await?.map_err(|error| internal(&error))?;
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::api::edge::tests::Server;

    #[test]
    fn the_last_entries_are_found_without_those_before() {
        let server = Server::with_pool();
        for name in ["a.example", "b.example", "c.example"] {
            let body = json!({"pool": "main", "name": name});
            server.call("POST", "/v1/domains", Some(&body));
        }
        let list = |query: &str| server.call("GET", &format!("/v1/audit{query}"), None);
        let subjects = |list: &Value| {
            let items = list["items"].as_array().unwrap().iter();
            let subjects = items.map(|item| item["changes"][0]["subject"].as_str().unwrap());
            subjects.map(str::to_owned).collect::<Vec<_>>()
        };

        let last = list("?last=2").json;
        let first = list("?limit=2").json;

        assert_eq!(subjects(&last), ["b.example", "c.example"]);
        assert_eq!(last["next"], Value::Null);
        assert_eq!(subjects(&first), ["main", "a.example"]);
        assert_eq!(first["next"], first["items"][1]["n"]);
        let both = list("?last=2&after=1");
        assert_eq!(both.status, 422, "{both:?}");
        assert_eq!(list("?last=0").status, 422);
    }
}
