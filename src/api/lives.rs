//! Domains' lives: suspend and hold, the operator's word, rotation, hand-outs, routing, caches.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::call::{Call, Wish, entity_tag, json as answer};
use super::domains::changed;
use super::problem::{Kind, Problem};
use super::steps::{Form, Steps, whole};
use super::{refusal, show};
use crate::clock::Timestamp;
use crate::document::{Faults, Fields};
use crate::engine::{DomainFilter, Held, HeldWhat, Op, Outcome, RoutingEntry, Word};
use crate::lifecycle::{DsSeen, LifecycleState, NsSeen};
use crate::wire::Apex;

/// How many domains are read at a time while a long answer is made.
const PAGE: usize = 4_096;

/// Makes a step of a request about one domain; the reason is read beside it.
async fn domain_step(
    mut call: Call,
    known: &[&str],
    read: impl FnOnce(&Fields<'_, '_>, &Call, Apex) -> Option<Op>,
) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let name = call.apex("name")?;
    let (document, octets) = call.json().await?;
    let faults = Faults::new();
    let known: Vec<&str> = known.iter().copied().chain(["reason"]).collect();
    let read = whole(&document, &faults).fields(&known).and_then(|fields| {
        let reason = fields.optional("reason").and_then(|it| it.text());
        let op = read(&fields, &call, name.clone());
        Some((op?, reason.map(str::to_owned)))
    });
    let (op, reason) = faults.finish(read).map_err(Problem::invalid)?;
    let wish = Wish {
        reason,
        id: call.idempotency(&octets)?,
        ..Wish::default()
    };
    let outcome = call.change(Steps::one(op, Form::Plain), wish).await?;
    Ok(changed(&call, &name, outcome.revision))
}

/// Lets a domain take no mail for a while.
pub(super) async fn suspend(call: Call) -> Result<Response, Problem> {
    let if_match = call.if_match()?;
    domain_step(call, &["answer", "until"], |fields, _, name| {
        let answer = fields.required("answer").and_then(|it| it.parsed());
        let until = fields.optional("until").and_then(|it| it.parsed());
        Some(Op::Suspend {
            name,
            answer: answer?,
            until,
            if_match,
        })
    })
    .await
}

/// Ends a suspension.
pub(super) async fn resume(call: Call) -> Result<Response, Problem> {
    let if_match = call.if_match()?;
    domain_step(call, &[], |_, _, name| Some(Op::Resume { name, if_match })).await
}

/// Lets no step withdraw anything of a domain.
pub(super) async fn hold(call: Call) -> Result<Response, Problem> {
    let if_match = call.if_match()?;
    domain_step(call, &[], |_, _, name| Some(Op::Hold { name, if_match })).await
}

/// Lets a domain that was held go on.
pub(super) async fn unhold(call: Call) -> Result<Response, Problem> {
    let if_match = call.if_match()?;
    domain_step(call, &[], |_, _, name| Some(Op::Unhold { name, if_match })).await
}

/// Takes the operator's word where nobody watches.
pub(super) async fn observed(call: Call) -> Result<Response, Problem> {
    let known = [
        "ns",
        "ds",
        "ns_gone",
        "published",
        "mail_ready",
        "policy_served",
        "queries",
        "at",
    ];
    domain_step(call, &known, |fields, _, name| {
        let flag = |key: &str| fields.optional(key).and_then(|it| it.boolean());
        let word = Word {
            ns: flag("ns"),
            ds: flag("ds"),
            ns_gone: flag("ns_gone"),
            published: flag("published"),
            mail_ready: flag("mail_ready"),
            policy_served: flag("policy_served"),
            queries: fields
                .optional("queries")
                .and_then(|it| it.number(0, u64::MAX)),
            at: fields.optional("at").and_then(|it| it.parsed()),
        };
        Some(Op::Observe { name, word })
    })
    .await
}

/// Drains domains of a pool and activates others in their place.
pub(super) async fn rotate(mut call: Call) -> Result<Response, Problem> {
    let params = call.params(&["dry_run"]);
    let dry_run = params.flag("dry_run");
    params.finish()?;
    let pool = call.segment("pool").to_owned();
    let (document, octets) = call.json().await?;
    let faults = Faults::new();
    let read = whole(&document, &faults)
        .fields(&["burn", "activate", "reason", "dry_run"])
        .and_then(|fields| {
            let burn = fields.optional("burn").map_or(Some(Vec::new()), |burn| {
                burn.each(|name| {
                    let text = name.text()?;
                    match Apex::parse_unicode(text) {
                        Ok(name) => Some(name),
                        Err(error) => {
                            name.refuse(error.to_string());
                            None
                        }
                    }
                })
            });
            let activate = fields.or("activate", 0, |it| it.number(0, 100_000));
            let reason = fields.optional("reason").and_then(|it| it.text());
            let dry = fields.or("dry_run", false, |it| it.boolean());
            Some((burn?, activate, reason.map(str::to_owned), dry))
        });
    let (burn, activate, reason, dry) = faults.finish(read).map_err(Problem::invalid)?;
    let op = Op::Rotate {
        pool,
        burn,
        activate: u32::try_from(activate).unwrap_or(u32::MAX),
    };
    let wish = Wish {
        reason,
        id: call.idempotency(&octets)?,
        dry_run: dry_run || dry,
        ..Wish::default()
    };
    let dry_run = wish.dry_run;
    let outcome = call.change(Steps::one(op, Form::Plain), wish).await?;
    Ok(answer(StatusCode::OK, &rotation(&call, &outcome, dry_run)))
}

/// Returns what a rotation did, or would do, and what comes then.
fn rotation(call: &Call, outcome: &Outcome, dry_run: bool) -> Value {
    let rotation = outcome.plan.rotation.clone().unwrap_or_default();
    let view = call.api.engine.view();
    let now = call.api.engine.now();
    let mut timeline = Vec::new();
    for name in &rotation.activated {
        let event = "active: mail is accepted; handed out when every mail host has applied it";
        timeline.push((now, name, event.to_owned()));
    }
    for name in &rotation.draining {
        let event = "draining: mail is accepted, no new address is handed out".to_owned();
        timeline.push((now, name, event));
        let next = view.prospect(name).and_then(|prospect| prospect.next);
        if let Some((at, next)) = next.and_then(|next| Some((next.not_before?, next))) {
            timeline.push((at, name, format!("may be {}", next.state)));
        }
    }
    let names = |names: &[Apex]| {
        let names = names.iter().map(|name| json!(name.to_api_text()));
        names.collect::<Value>()
    };
    let timeline = timeline.into_iter().map(|(at, name, event)| {
        json!({"at": at.to_string(), "domain": name.to_api_text(), "event": event})
    });
    json!({
        "revision": outcome.revision,
        "dry_run": dry_run,
        "activated": names(&rotation.activated),
        "draining": names(&rotation.draining),
        "short": rotation.short,
        "timeline": timeline.collect::<Value>(),
        "warnings": outcome.plan.warnings,
    })
}

/// Returns the domain that the next new address comes from.
pub(super) async fn hand_out(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let pool = call.segment("pool").to_owned();
    match call.api.engine.hand_out(&pool).await {
        Ok(name) => {
            let document = json!({"domain": name.to_api_text()});
            Ok(answer(StatusCode::OK, &document))
        }
        Err(refusal) => Err(refusal::of_path(refusal)),
    }
}

/// Returns what every mail host may accept, a line for each domain; with `after` only what changed
/// behind that revision.
pub(super) async fn routing(call: Call) -> Result<Response, Problem> {
    let params = call.params(&["after"]);
    let since = params.number("after", 0, u64::MAX, 0);
    params.finish()?;
    let engine = &call.api.engine;
    let revision = engine.view().revision();
    let tag = entity_tag(revision);
    if call.has(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    let mut text = String::new();
    let mut after: Option<Apex> = None;
    loop {
        // The writer has its turn between two pages; what changes meanwhile has a later revision.
        let page = engine.view().routing(since, after.as_ref(), PAGE);
        for entry in &page.items {
            text.push_str(&route(entry).to_string());
            text.push('\n');
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    for (name, gone) in engine.view().routing_gone(since) {
        let line = json!({"domain": name.to_api_text(), "answer": "gone", "revision": gone});
        text.push_str(&line.to_string());
        text.push('\n');
    }
    let kind = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, kind), (header::ETAG, tag)], text).into_response())
}

/// Returns what mail hosts may accept for one domain.
fn route(entry: &RoutingEntry) -> Value {
    let except: &[&str] = if entry.route.postmaster {
        &["postmaster", "abuse"]
    } else {
        &[]
    };
    json!({
        "domain": entry.name.to_api_text(),
        "answer": entry.route.answer,
        "except": except,
        "subdomains": entry.route.subdomains,
        "revision": entry.revision,
    })
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

/// Returns every version of every RRset and policy of a domain that somebody may hold at a moment.
pub(super) async fn caches(call: Call) -> Result<Response, Problem> {
    let params = call.params(&["at"]);
    let at: Option<Timestamp> = params.parsed("at");
    params.finish()?;
    let name = call.apex("name")?;
    let at = at.unwrap_or_else(|| call.api.engine.now());
    let held = call.api.engine.view().caches(&name, at);
    let held = held.ok_or_else(|| {
        let detail = format!("there is no domain {}", name.to_api_text());
        Problem::new(Kind::NotFound, detail)
    })?;
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

/// Returns what the registrars are to set, and what was seen: with `differs` only where they have
/// work.
pub(super) async fn delegations(call: Call) -> Result<Response, Problem> {
    let params = call.params(&["differs"]);
    let differs = params.flag("differs");
    params.finish()?;
    let engine = &call.api.engine;
    let mut items = Vec::new();
    let mut after: Option<Apex> = None;
    loop {
        let view = engine.view();
        let page = view.domains(&DomainFilter::default(), after.as_ref(), PAGE);
        for domain in &page.items {
            let ns = domain.observed.ns.as_ref().map(|seen| seen.what);
            let ds = domain.observed.ds.as_ref().map(|seen| seen.what);
            let released = domain.state == LifecycleState::Released;
            let action = match (released, ns, ds) {
                (true, Some(NsSeen::Gone), _) => None,
                (true, ..) => Some("delete the name"),
                (false, _, Some(DsSeen::Foreign)) => Some("replace the DS: it matches no key"),
                (false, Some(NsSeen::Ours), Some(DsSeen::Ours)) => None,
                (false, Some(NsSeen::Ours), _) => Some("set the DS"),
                (false, ..) => Some("set the name servers and the DS"),
            };
            if domain.dropped.is_some() || differs && action.is_none() {
                continue;
            }
            let settings = view.pool(&domain.pool).map(|pool| pool.settings);
            let servers = settings.iter().flat_map(|settings| settings.nameservers());
            let servers = servers.filter_map(|server| server.under(&domain.name).ok());
            let servers: Value = servers.map(|server| json!(server.to_api_text())).collect();
            let want = if released {
                json!({"ns": [], "ds": []})
            } else {
                json!({"ns": servers, "ds": show::ds(&domain.name, &domain.ds)})
            };
            items.push(json!({
                "name": domain.name.to_api_text(),
                "registrar": domain.registrar,
                "want": want,
                "seen": {
                    "ns": ns.map(|ns| match ns {
                        NsSeen::Ours => "ours",
                        NsSeen::Others => "others",
                        NsSeen::Gone => "gone",
                    }),
                    "ds": ds.map(|ds| match ds {
                        DsSeen::Ours => "ours",
                        DsSeen::Absent => "absent",
                        DsSeen::Foreign => "foreign",
                    }),
                },
                "action": action,
            }));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(answer(StatusCode::OK, &json!({"items": items})))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::api::edge::tests::Server;

    #[test]
    fn a_life_is_walked_over_http() {
        let server = Server::with_pool();
        let ok = |method: &str, path: &str, body: Option<serde_json::Value>| {
            let answer = server.call(method, path, body.as_ref());
            assert!(matches!(answer.status, 200 | 201), "{path}: {answer:?}");
            answer.json
        };
        for name in ["a.example", "b.example"] {
            let body = json!({"pool": "main", "name": name});
            ok("POST", "/v1/domains", Some(body));
            let said = json!({"ns": true, "ds": true, "mail_ready": true});
            let path = format!("/v1/domains/{name}/observed");
            ok("POST", &path, Some(said));
        }
        let forced = json!({"to": "active", "force": true, "reason": "test"});
        ok("POST", "/v1/domains/a.example/transition", Some(forced));
        let given = ok("POST", "/v1/pools/main/handout", None);
        assert_eq!(given["domain"], "a.example");

        let suspension = json!({"answer": "later", "reason": "abuse"});
        let path = "/v1/domains/a.example/suspend";
        let suspended = ok("POST", path, Some(suspension));
        assert_eq!(suspended["routing"], "later");
        assert_eq!(suspended["suspended"]["reason"], "abuse");
        let refused = server.call("POST", "/v1/pools/main/handout", None);
        assert_eq!(refused.status, 409);
        ok("POST", "/v1/domains/a.example/resume", Some(json!({})));
        let held = json!({"reason": "court"});
        let held = ok("POST", "/v1/domains/a.example/hold", Some(held));
        assert_eq!(held["hold"]["reason"], "court");
        ok("POST", "/v1/domains/a.example/unhold", Some(json!({})));

        let burn = json!({"burn": ["a.example"], "activate": 1, "dry_run": true});
        let dry = ok("POST", "/v1/pools/main/rotate", Some(burn));
        assert_eq!(dry["draining"], json!(["a.example"]));
        assert_eq!(dry["activated"], json!(["b.example"]));
        assert_eq!(dry["short"], 0);
        let burn = json!({"burn": ["a.example"], "reason": "burnt"});
        let done = ok("POST", "/v1/pools/main/rotate", Some(burn));
        assert_eq!(done["draining"], json!(["a.example"]));
        let shown = ok("GET", "/v1/domains/a.example", None);
        assert_eq!(shown["state"], "draining");
        assert_eq!(shown["next"]["waiting_for"][0]["rule"], "R1");

        let caches = ok("GET", "/v1/domains/a.example/caches", None);
        assert!(caches["items"].as_array().unwrap().len() > 3, "{caches}");
        let work = ok("GET", "/v1/delegations?differs=true", None);
        assert_eq!(work["items"], json!([]));
        let host = json!({"revision": 1});
        let unknown = server.call("POST", "/v1/hosts/mx9.example/applied", Some(&host));
        assert_eq!(unknown.status, 404, "{unknown:?}");
    }

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
}
