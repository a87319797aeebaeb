//! `/v1/routing` and what mail hosts say of it.

use std::io::{self, Write};

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;

use super::call::{Call, Wish, entity_tag, json as answer};
use super::problem::Problem;
use super::steps::{Form, Steps, whole};
use super::stream::streamed;
use crate::clock::Timestamp;
use crate::document::{Faults, Fields};
use crate::engine::{Engine, Op, RoutingEntry};
use crate::mail::RoutingAnswer;
use crate::wire::Apex;

/// How many domains are read while the facts are held still, which the writer waits for.
const PAGE: usize = 1_024;

/// The header field that says what an answer holds: `all` of the routing, or the `changes` that were
/// asked for.
const ROUTING: &str = "mxpool-routing";

/// Returns what every mail host may accept, a line for each domain; with `after` only what changed
/// behind that revision.
///
/// Where not all of that is known, after a restart, all of the routing comes: a domain that is not in
/// it is gone, and so the header tells which of both it is.
pub(super) async fn read(call: Call) -> Result<Response, Problem> {
    let params = call.params(&["after"]);
    let since = params.number("after", 0, u64::MAX, 0);
    params.finish()?;
    let engine = call.api.engine.clone();
    let (tag, since) = {
        let view = engine.view();
        let known = view.knows_routing_behind(since);
        (entity_tag(view.revision()), if known { since } else { 0 })
    };
    if call.has(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let holds = HeaderValue::from_static(if since == 0 { "all" } else { "changes" });
    let body = if call.is_head() {
        Body::empty()
    } else {
        streamed("the routing", move |to| write(&engine, since, to))
    };
    let kind = HeaderValue::from_static("application/x-ndjson");
    let fields = [(header::CONTENT_TYPE, kind), (header::ETAG, tag)];
    Ok((fields, [(ROUTING, holds)], body).into_response())
}

/// Writes the lines of what changed behind revision `since`; 0: of all domains.
///
/// What changes meanwhile has a later revision than the answer's tag: it comes again with the next
/// call, whether or not it is in this one.
fn write(engine: &Engine, since: u64, to: &mut dyn Write) -> io::Result<()> {
    let mut after: Option<Apex> = None;
    loop {
        // The writer has its turn between two pages.
        let page = engine.view().routing(since, after.as_ref(), PAGE);
        for entry in &page.items {
            write_line(&Line::of(entry), to)?;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    if since == 0 {
        return Ok(());
    }
    for (name, revision) in engine.view().routing_gone(since) {
        let line = Line {
            domain: name.to_api_text(),
            answer: RoutingAnswer::Gone,
            except: &[],
            subdomains: false,
            revision,
        };
        write_line(&line, to)?;
    }
    Ok(())
}

/// What mail hosts may accept for one domain.
#[derive(Serialize)]
struct Line {
    /// The domain.
    domain: String,
    /// What is answered to its mail.
    answer: RoutingAnswer,
    /// The local parts that are accepted all the same (L6).
    except: &'static [&'static str],
    /// Whether the same holds for addresses below the domain.
    subdomains: bool,
    /// The revision at which it changed last.
    revision: u64,
}

impl Line {
    /// Makes the line of a domain.
    fn of(entry: &RoutingEntry) -> Self {
        Self {
            domain: entry.name.to_api_text(),
            answer: entry.route.answer,
            except: if entry.route.postmaster {
                &["postmaster", "abuse"]
            } else {
                &[]
            },
            subdomains: entry.route.subdomains,
            revision: entry.revision,
        }
    }
}

/// Writes one line.
fn write_line(line: &Line, to: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}

/// Takes a mail host's word that it has applied the routing.
pub(super) async fn applied(call: Call) -> Result<Response, Problem> {
    host_step(call, &["revision"], |fields, host| {
        let revision = fields.required("revision");
        let revision = revision.and_then(|it| it.number(0, u64::MAX))?;
        Some(Op::HostApplied { host, revision })
    })
    .await
}

/// Takes the operator's word that a mail host made senders defer.
pub(super) async fn deferrals(call: Call) -> Result<Response, Problem> {
    host_step(call, &["from", "to"], |fields, host| {
        let from = fields.optional("from").and_then(|it| it.parsed());
        let to = fields.required("to").and_then(|it| it.parsed());
        let (from, to): (Option<Timestamp>, Timestamp) = (from, to?);
        if from.is_some_and(|from| from > to) {
            fields.refuse("from", "expected a moment before `to`, found a later one");
            return None;
        }
        Some(Op::HostDeferrals { host, to })
    })
    .await
}

/// Makes a step of a request about one mail host.
async fn host_step(
    mut call: Call,
    known: &[&str],
    read: impl FnOnce(&Fields<'_, '_>, String) -> Option<Op>,
) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    call.refuse_if_match()?;
    let host = call.segment("host").trim_end_matches('.').to_lowercase();
    let (document, octets) = call.json().await?;
    let faults = Faults::new();
    let fields = whole(&document, &faults).fields(known);
    let op = fields.and_then(|fields| read(&fields, host));
    let op = faults.finish(op).map_err(Problem::invalid)?;
    let wish = Wish {
        id: call.idempotency(&octets)?,
        ..Wish::default()
    };
    let outcome = call.change(Steps::one(op, Form::Plain), wish).await?;
    let revision = json!({"revision": outcome.revision});
    Ok(answer(StatusCode::OK, &revision))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::edge::tests::{Server, settings};

    #[test]
    fn routing_is_told_in_whole_and_in_what_changed() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "names": ["a.example", "b.example"]});
        let added = server.call("POST", "/v1/domains", Some(&body));
        let revision = added.json["revision"].as_u64().unwrap();
        let forced = json!({"to": "active", "force": true, "reason": "test"});
        server.call("POST", "/v1/domains/b.example/transition", Some(&forced));

        let all = server.send("GET", "/v1/routing", &[], "");
        let path = format!("/v1/routing?after={revision}");
        let changed = server.send("GET", &path, &[], "");

        let lines = |octets: &[u8]| {
            let text = String::from_utf8(octets.to_vec()).unwrap();
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            lines.collect::<Vec<serde_json::Value>>()
        };
        let all = lines(&all.octets);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0]["answer"], "later");
        assert_eq!(all[0]["except"], json!(["postmaster", "abuse"]), "L6");
        let changed = lines(&changed.octets);
        assert_eq!(changed.len(), 1);
        assert_eq!(changed[0]["domain"], "b.example");
        assert_eq!(changed[0]["answer"], "accept");
    }

    /// Who followed the changes alone never heard of it, and refused mail to names below.
    #[test]
    fn l15_names_below_that_come_to_have_mail_are_told_to_those_who_follow() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "name": "a.example"});
        let added = server.call("POST", "/v1/domains", Some(&body));
        let revision = added.json["revision"].as_u64().unwrap();
        let mut wide = settings();
        wide["subdomains"] = json!(true);
        let put = server.call("PUT", "/v1/pools/main", Some(&wide));
        assert_eq!(put.status, 200, "{put:?}");

        let changed = server.send("GET", &format!("/v1/routing?after={revision}"), &[], "");

        let line: serde_json::Value = serde_json::from_slice(&changed.octets).unwrap();
        assert_eq!(
            (&line["domain"], &line["subdomains"]),
            (&json!("a.example"), &json!(true))
        );
        assert!(line["revision"].as_u64().unwrap() > revision);
    }

    /// What was deleted before a restart nobody was told: who follows must read all of it again.
    #[test]
    fn who_has_read_less_than_is_known_is_told_all_and_that_it_is_all() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "names": ["a.example", "b.example"]});
        let added = server.call("POST", "/v1/domains", Some(&body));
        let revision = added.json["revision"].as_u64().unwrap();
        let holds = |after: u64| {
            let path = format!("/v1/routing?after={after}");
            server
                .send("GET", &path, &[], "")
                .header("mxpool-routing")
                .unwrap()
        };
        assert_eq!(holds(0), "all");
        assert_eq!(holds(revision), "changes");
        assert_eq!(
            holds(revision + 1),
            "all",
            "of another store, or restored since"
        );

        server.call("DELETE", "/v1/domains/a.example?force=true", None);
        let changed = server.send("GET", &format!("/v1/routing?after={revision}"), &[], "");
        let gone: serde_json::Value = serde_json::from_slice(&changed.octets).unwrap();
        assert_eq!(
            (&gone["domain"], &gone["answer"]),
            (&json!("a.example"), &json!("gone"))
        );
    }

    #[test]
    fn nobody_knows_of_deferrals_to_come() {
        let server = Server::with_pool();
        let say = |to: &str| {
            let path = "/v1/hosts/mx1@main/deferrals";
            server.call("POST", path, Some(&json!({"to": to})))
        };

        // The test's clock stands at 2026-11-24T16:30:00Z.
        let past = say("2026-11-24T16:30:00Z");
        let to_come = say("2036-11-24T16:30:00Z");

        assert_eq!(past.status, 200, "{past:?}");
        assert_eq!(to_come.status, 422, "{to_come:?}");
        assert_eq!(to_come.pointers(), ["/to".to_owned()].into());
    }
}
