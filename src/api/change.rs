//! `/v1/changes/{id}`: one change, what it did or is to do, and the way back.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, blocking, json as answer};
use super::problem::{Kind, Problem};
use super::show;
use super::steps::whole;
use super::zones::internal;
use crate::document::Faults;
use crate::engine::{Actor, AuditChange, ChangeState, ChangeView, Engine, Undo};

/// Shows a change, and what would happen if it were undone now.
pub(super) async fn show(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let id = id(&call)?;
    let engine = call.api.engine.clone();
    let found = blocking(move || engine.change_view(id)).await?;
    let found = found.map_err(|error| internal(&error))?;
    let change = found.ok_or_else(|| Problem::not_found("change", call.segment("id")))?;
    let back = way_back(&call.api.engine, &change).await;
    Ok(answer(StatusCode::OK, &document(&change, &back)))
}

/// Lists the changes that wait for their moment, the next one first.
pub(super) async fn list(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let engine = call.api.engine.clone();
    let waiting = blocking(move || engine.waiting_changes()).await?;
    let items = waiting.iter().map(|change| {
        json!({
            "id": change.id,
            "at": change.at.map(|at| at.to_string()),
            "accepted": change.accepted.to_string(),
            "actor": change.actor,
            "reason": change.reason,
            "steps": wished(change),
        })
    });
    let list = json!({"items": items.collect::<Value>(), "next": null});
    Ok(answer(StatusCode::OK, &list))
}

/// Takes a change back, calls a scheduled one off, or shows what that would do.
pub(super) async fn undo(mut call: Call) -> Result<Response, Problem> {
    let mut wish = call.wish()?;
    call.refuse_if_match()?;
    let id = id(&call)?;
    let (document, octets) = call.json().await?;
    wish.id = call.idempotency(&octets)?;
    let faults = Faults::new();
    let fields = whole(&document, &faults).fields(&["dry_run", "reason"]);
    let read = fields.map(|fields| wish.read(&fields));
    faults.finish(read).map_err(Problem::invalid)?;
    let dry_run = wish.dry_run;
    let outcome = call.undo(id, wish).await?;
    Ok(answer(StatusCode::OK, &show::plan(&outcome, dry_run, &[])))
}

/// Returns the id that stands in the path.
fn id(call: &Call) -> Result<u64, Problem> {
    let text = call.segment("id");
    text.parse().map_err(|_| {
        let detail = format!("there is no change {text:?}: its id is a number");
        Problem::new(Kind::NotFound, detail)
    })
}

/// Returns what undoing a change would do now, or why it cannot be undone.
async fn way_back(engine: &Engine, change: &ChangeView) -> Value {
    let undo = Undo {
        id: change.id,
        actor: Actor("nobody".to_owned()),
        reason: None,
        key: None,
        dry_run: true,
        expect_domains: None,
    };
    match engine.undo(undo).await {
        Ok(outcome) => {
            let steps = outcome.plan.effects.iter().map(|effect| {
                let (subject, what) = (&effect.subject, &effect.what);
                let what = match effect.kind {
                    // It is called off.
                    "undo" => format!("the change {subject} {what}"),
                    _ => format!("{subject}: {what}"),
                };
                step(effect.kind, &effect.subject, &what)
            });
            json!({"possible": true, "steps": steps.collect::<Value>(), "why_not": []})
        }
        Err(errors) => {
            let why = errors.iter().map(|error| json!(error.refusal.to_string()));
            json!({"possible": false, "steps": [], "why_not": why.collect::<Value>()})
        }
    }
}

/// Returns what is told of a change.
fn document(change: &ChangeView, back: &Value) -> Value {
    let (state, failed, undone) = match &change.state {
        ChangeState::Scheduled => ("scheduled", Value::Null, Value::Null),
        ChangeState::Applied => ("applied", Value::Null, Value::Null),
        ChangeState::Failed { at, why } => {
            let failed = json!({"at": at.to_string(), "why": why});
            ("failed", failed, Value::Null)
        }
        ChangeState::Undone { by } => ("undone", Value::Null, json!(by)),
    };
    let applied = change.applied.as_ref().map(|audit| {
        let done = audit.changes.iter();
        let done = done.filter(|change| change.op != "make_scheduled");
        let done = done.map(|change| step(&change.op, &change.subject, &told(change)));
        json!({
            "at": audit.at.to_string(),
            "revision": audit.revision,
            "steps": done.collect::<Value>(),
        })
    });
    json!({
        "id": change.id,
        "state": state,
        "accepted": change.accepted.to_string(),
        "at": change.at.map(|at| at.to_string()),
        "actor": change.actor,
        "reason": change.reason,
        "steps": wished(change),
        "applied": applied,
        "failed": failed,
        "undone_by": undone,
        "undo": back,
    })
}

/// Returns what a scheduled change is to do.
fn wished(change: &ChangeView) -> Value {
    let steps = change.steps.iter();
    let steps = steps.map(|wished| step(wished.kind, &wished.subject, &wished.what));
    steps.collect()
}

/// Returns a step.
fn step(op: &str, subject: &str, what: &str) -> Value {
    json!({"op": op, "subject": subject, "what": what})
}

/// Says what a step did.
fn told(change: &AuditChange) -> String {
    let read = |text: &Option<String>| -> Value {
        let text = text.as_deref().unwrap_or("null");
        serde_json::from_str(text).unwrap_or_default()
    };
    let (before, after) = (read(&change.before), read(&change.after));
    let of = |document: &Value, key: &str| document[key].as_str().unwrap_or("?").to_owned();
    let subject = &change.subject;
    // An RRset's is the domain, the owner and the type.
    let (name, rest) = subject.split_once(' ').unwrap_or((subject, ""));
    match change.op.as_str() {
        "put_pool" if before.is_null() => format!("the pool {subject} was created"),
        "put_pool" => format!("the settings of the pool {subject} were changed"),
        "delete_pool" => format!("the pool {subject} was deleted"),
        "put_zone" if before.is_null() => format!("the zone {subject} was created"),
        "put_zone" => format!("the records of the zone {subject} were changed"),
        "delete_zone" => format!("the zone {subject} was deleted, with its keys"),
        "add_domain" => format!("{subject} joined the pool {}", of(&after, "pool")),
        "patch_domain" => format!("what is said about {subject} was changed"),
        "delete_domain" => format!("{subject} was deleted, with its keys"),
        "put_rrset" => format!("{name} got {rest} of its own"),
        "delete_rrset" => format!("{name} lost its own {rest}"),
        "transition" => {
            let (from, to) = (of(&before, "state"), of(&after, "state"));
            format!("{subject} became {to}; it was {from}")
        }
        "suspend" => {
            let answer = of(&after["suspended"], "answer");
            format!("{subject} was suspended with {answer}")
        }
        "resume" => format!("{subject} is suspended no more"),
        "hold" => format!("{subject} was put on hold"),
        "unhold" => format!("{subject} is on hold no more"),
        "undo" => format!("the change {subject} was called off before its moment"),
        "fail_scheduled" => format!("the change {subject} was refused at its moment"),
        op => format!("{op} of {subject}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::api::edge::tests::{Answer, Server};

    /// A server with an active domain.
    fn server() -> Server {
        let server = Server::with_pool();
        let steps = json!({"reason": "a test", "changes": [
            {"op": "add_domain", "pool": "main", "names": ["a.example", "b.example"]},
            {"op": "transition", "domain": "a.example", "to": "active", "force": true},
        ]});
        let made = server.call("POST", "/v1/changes", Some(&steps));
        assert_eq!(made.status, 200, "{made:?}");
        server
    }

    /// A change that drains the domain, at a moment if there is one.
    fn drain(at: Option<&str>) -> Value {
        json!({"at": at, "reason": "the end of the month", "changes": [
            {"op": "transition", "domain": "a.example", "to": "draining"},
        ]})
    }

    /// Takes a change back.
    fn undo(server: &Server, id: &Value, body: &Value) -> Answer {
        server.call("POST", &format!("/v1/changes/{id}/undo"), Some(body))
    }

    #[test]
    fn a_change_is_accepted_for_a_moment_shown_and_called_off() {
        let server = server();
        let later = drain(Some("2030-01-01T01:00:00+01:00"));
        let mut dry = later.clone();
        dry["dry_run"] = json!(true);

        let planned = server.call("POST", "/v1/changes", Some(&dry));
        let accepted = server.call("POST", "/v1/changes", Some(&later));

        assert_eq!(planned.status, 200, "{planned:?}");
        assert_eq!(planned.json["plan"][0]["what"], "active becomes draining");
        assert_eq!(planned.json["at"], "2030-01-01T00:00:00Z");
        assert_eq!(planned.json["id"], Value::Null);
        assert_eq!(accepted.status, 202, "{accepted:?}");
        assert_eq!(accepted.json["at"], "2030-01-01T00:00:00Z");
        let id = &accepted.json["id"];
        assert_eq!(id, &accepted.json["revision"]);
        let place = format!("/v1/changes/{id}");
        assert_eq!(accepted.header("location"), Some(place.clone()));

        let listed = server.call("GET", "/v1/changes", None).json;
        assert_eq!(listed["items"].as_array().unwrap().len(), 1);
        let listed = &listed["items"][0];
        assert_eq!((&listed["id"], &listed["at"]), (id, &accepted.json["at"]));
        assert_eq!(listed["steps"][0]["what"], "a.example becomes draining");
        let shown = server.call("GET", &place, None).json;
        assert_eq!(shown["state"], "scheduled");
        assert_eq!(shown["reason"], "the end of the month");
        assert_eq!(shown["steps"][0]["what"], "a.example becomes draining");
        let back = json!({"possible": true, "why_not": [], "steps": [{
            "op": "undo", "subject": id.to_string(),
            "what": format!("the change {id} is not made at 2030-01-01T00:00:00Z"),
        }]});
        assert_eq!(shown["undo"], back);
        let off = undo(&server, id, &json!({"reason": "not yet"}));
        assert_eq!(off.status, 200, "{off:?}");
        let listed = server.call("GET", "/v1/changes", None).json;
        assert_eq!(listed["items"], json!([]));
        let shown = server.call("GET", &place, None).json;
        assert_eq!(shown["state"], "undone");
        assert_eq!(shown["undone_by"], off.json["revision"]);
        let again = undo(&server, id, &json!({}));
        assert_eq!(again.status, 409, "{again:?}");
        let why = again.json["detail"].as_str().unwrap();
        assert!(why.contains("called off already"), "{why}");
    }

    #[test]
    fn a_moment_that_cannot_be_meant_is_refused_where_it_stands() {
        let server = server();
        let refused = |at: &str| {
            let answer = server.call("POST", "/v1/changes", Some(&drain(Some(at))));
            assert_eq!(answer.status, 422, "{answer:?}");
            assert_eq!(answer.pointers(), ["/at".to_owned()].into(), "{answer:?}");
            answer.json["errors"][0]["detail"].to_string()
        };

        // The test's clock stands at 2026-11-24T16:30:00Z.
        assert!(refused("2026-11-24T16:30:00Z").contains("a moment after"));
        assert!(refused("2206-12-24T16:30:00Z").contains("within ten years"));
        assert!(refused("at noon").contains("a time like"));
        let watched = json!({"at": "2030-01-01T00:00:00Z", "changes": [
            {"op": "transition", "domain": "b.example", "to": "draining"},
            {"op": "observed", "domain": "a.example", "ns": true},
        ]});
        let answer = server.call("POST", "/v1/changes", Some(&watched));
        assert_eq!(
            answer.pointers(),
            ["/changes/1".to_owned()].into(),
            "{answer:?}"
        );
        let headers = [("content-type", "application/json"), ("if-match", "\"1\"")];
        let body = drain(Some("2030-01-01T00:00:00Z")).to_string();
        let tagged = server.send("POST", "/v1/changes", &headers, &body);
        assert_eq!(tagged.status, 400, "{tagged:?}");
    }

    #[test]
    fn a_change_says_what_it_did_and_what_undoing_it_would_do() {
        let server = server();
        let made = server.call("POST", "/v1/changes", Some(&drain(None))).json;
        let id = &made["revision"];
        let place = format!("/v1/changes/{id}");

        let shown = server.call("GET", &place, None).json;
        let dry = undo(&server, id, &json!({"dry_run": true}));
        let undone = undo(&server, id, &json!({"reason": "a mistake"}));

        let did = "a.example became draining; it was active";
        assert_eq!(shown["applied"]["steps"][0]["what"], did);
        assert_eq!(shown["undo"]["possible"], true, "{shown}");
        let would = "a.example: draining becomes active";
        assert_eq!(shown["undo"]["steps"][0]["what"], would);
        assert_eq!(dry.json["plan"][0]["what"], "draining becomes active");
        assert_eq!((dry.status, undone.status), (200, 200), "{undone:?}");
        assert_eq!(dry.json["plan"], undone.json["plan"]);
        let domain = server.call("GET", "/v1/domains/a.example", None).json;
        assert_eq!(domain["state"], "active");
        let shown = server.call("GET", &place, None).json;
        assert_eq!(shown["state"], "undone");
        assert_eq!(shown["undo"]["possible"], false);
        let why = shown["undo"]["why_not"][0].as_str().unwrap();
        assert!(why.contains("was undone already"), "{why}");
    }

    #[test]
    fn an_undo_under_a_key_is_made_once() {
        let server = server();
        let made = server.call("POST", "/v1/changes", Some(&drain(None))).json;
        let path = format!("/v1/changes/{}/undo", made["revision"]);
        let headers = [
            ("content-type", "application/json"),
            ("idempotency-key", "k"),
        ];

        let first = server.send("POST", &path, &headers, "{}");
        let again = server.send("POST", &path, &headers, "{}");
        let other = server.send("POST", &path, &headers, r#"{"reason":"x"}"#);

        assert_eq!((first.status, again.status), (200, 200), "{again:?}");
        assert_eq!(first.json["revision"], again.json["revision"]);
        assert_eq!(other.status, 422, "{other:?}");
    }

    #[test]
    fn what_was_built_upon_is_not_undone_and_the_reason_is_told() {
        let server = server();
        let made = server.call("POST", "/v1/changes", Some(&drain(None))).json;
        let suspend = json!({"answer": "later"});
        server.call("POST", "/v1/domains/a.example/suspend", Some(&suspend));

        let refused = undo(&server, &made["revision"], &json!({}));
        let unknown = undo(&server, &json!(4711), &json!({}));
        let wrong = undo(&server, &json!("x"), &json!({}));
        let fields = undo(&server, &made["revision"], &json!({"force": true}));

        assert_eq!(refused.status, 409, "{refused:?}");
        let why = refused.json["detail"].as_str().unwrap();
        assert!(why.contains("a.example was changed since"), "{why}");
        assert_eq!((unknown.status, wrong.status), (404, 404), "{unknown:?}");
        let shown = server.call("GET", "/v1/changes/4711", None);
        assert_eq!(shown.status, 404, "{shown:?}");
        assert_eq!(
            fields.pointers(),
            ["/force".to_owned()].into(),
            "{fields:?}"
        );
    }
}
