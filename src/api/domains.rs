//! `/v1/domains`: listed, shown, described, deleted.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::adding::read_about;
use super::call::{self, Call, Wish, json as answer, resource, with_tag};
use super::problem::{Kind, Problem};
use super::show;
use super::steps::{Form, Steps, whole};
use super::zones::{Served, delegation, served};
use crate::document::{Element, Faults, Pointer};
use crate::engine::{Domain, DomainFilter, Op, Outcome};
use crate::mail::mta_sts_file;
use crate::wire::Apex;

/// The most domains that a page shows.
const PAGE: u64 = 1_000;
/// Returns a page of domains.
pub(super) async fn list(call: Call) -> Result<Response, Problem> {
    let known = ["pool", "state", "after", "limit", "retire_due"];
    let is_due = call.params(&known).flag("retire_due");
    // What can be retired is draining: another state beside it is a mistake.
    let params = match is_due {
        true => call.params(&["pool", "after", "limit", "retire_due"]),
        false => call.params(&known),
    };
    let filter = DomainFilter {
        pool: params.with("pool", |pool| match call.api.engine.view().pool(pool) {
            Some(_) => Ok(pool.to_owned()),
            None => Err(format!("there is no pool {pool:?}")),
        }),
        state: params.parsed("state"),
    };
    params.flag("retire_due");
    let after: Option<Apex> = params.with("after", |text| {
        Apex::parse_unicode(text).map_err(|error| error.to_string())
    });
    let limit = params.number("limit", 1, PAGE, PAGE) as usize;
    params.finish()?;
    let view = call.api.engine.view();
    let page = match is_due {
        true => view.retirable(filter.pool.as_deref(), after.as_ref(), limit),
        false => view.domains(&filter, after.as_ref(), limit),
    };
    drop(view);
    let items: Vec<Value> = page.items.iter().map(show::listed_domain).collect();
    let next = page.next.map(|name| name.to_api_text());
    Ok(answer(
        StatusCode::OK,
        &json!({"items": items, "next": next}),
    ))
}

/// Shows a domain.
pub(super) async fn show(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let name = call.apex("name")?;
    let current = show::current_domain(&call.api.engine.view(), &name);
    let (revision, document) =
        current.ok_or_else(|| Problem::not_found("domain", call.segment("name")))?;
    Ok(resource(&call, revision, &document))
}

/// Changes what is said about a domain; `null` forgets it.
pub(super) async fn patch(mut call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let name = call.apex("name")?;
    let (document, _) = call.json().await?;
    let faults = Faults::new();
    let read = whole(&document, &faults)
        .fields(&["registrar", "expires_at", "labels"])
        .map(|fields| {
            let given = |key: &str| document.get(key).is_some();
            let about = read_about(&fields);
            let labels = fields.optional("labels").is_some() || given("labels");
            Op::PatchDomain {
                name: name.clone(),
                registrar: given("registrar").then_some(about.registrar),
                expires_at: given("expires_at").then_some(about.expires_at),
                labels: labels.then_some(about.labels),
                if_match: None,
            }
        });
    let mut op = faults.finish(read).map_err(Problem::invalid)?;
    if let Op::PatchDomain { if_match, .. } = &mut op {
        *if_match = call.if_match()?;
    }
    let outcome = call
        .change(Steps::one(op, Form::Plain), Wish::default())
        .await?;
    Ok(changed(&call, &name, &outcome))
}

/// Deletes a domain with its keys.
pub(super) async fn delete(call: Call) -> Result<Response, Problem> {
    let params = call.params(&["force", "expect_domains"]);
    let (force, expect_domains) = (params.flag("force"), params.expect_domains());
    params.finish()?;
    let op = Op::DeleteDomain {
        name: call.apex("name")?,
        force,
        if_match: call.if_match()?,
    };
    let wish = Wish {
        expect_domains,
        ..Wish::default()
    };
    call.delete(op, wish).await
}

/// Returns a domain's DS records, DNSKEY, CDS and CDNSKEY.
pub(super) async fn ds(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let domain = find(&call)?;
    let ds = show::ds(&domain.name, &domain.ds);
    let document = delegation(&call.api.engine, &domain.name, ds).await?;
    Ok(resource(&call, domain.revision, &document))
}

/// Returns a domain's zone as a master file.
pub(super) async fn zone(call: Call) -> Result<Response, Problem> {
    let params = call.params(&["signed"]);
    let what = if params.flag("signed") {
        Served::Signed
    } else {
        Served::Data
    };
    params.finish()?;
    let domain = find(&call)?;
    let text = served(&call.api.engine, domain.name, what).await?;
    Ok(call::master_file(text))
}

/// Returns the policy file that the domain's MTA-STS host serves over HTTPS (RFC 8461, section 3.2).
pub(super) async fn mta_sts(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let domain = find(&call)?;
    let pool = call.api.engine.view().pool(&domain.pool);
    let text =
        pool.and_then(|pool| mta_sts_file(&pool.settings, &domain.name, domain.policy_form?));
    let text = text.ok_or_else(|| {
        let (pool, name) = (&domain.pool, domain.name.to_api_text());
        let detail = format!("the pool {pool} of the domain {name} has no MTA-STS policy");
        Problem::new(Kind::NotFound, detail)
    })?;
    Ok(([(header::CONTENT_TYPE, "text/plain")], text).into_response())
}

/// Returns the domain that the path names.
pub(super) fn find(call: &Call) -> Result<Domain, Problem> {
    let name = call.apex("name")?;
    let domain = call.api.engine.view().domain(&name);
    domain.ok_or_else(|| Problem::not_found("domain", call.segment("name")))
}

/// Answers with a domain after a change of it; says whether that did anything, and what should be
/// thought over.
pub(super) fn changed(call: &Call, name: &Apex, outcome: &Outcome) -> Response {
    let current = show::current_domain(&call.api.engine.view(), name);
    let (tag, mut document) = current.unwrap_or_else(|| (outcome.revision, json!({})));
    document["revision"] = json!(outcome.revision);
    document["changed"] = json!(!outcome.plan.effects.is_empty());
    if !outcome.plan.warnings.is_empty() {
        document["warnings"] = json!(outcome.plan.warnings);
    }
    with_tag(answer(StatusCode::OK, &document), tag)
}

/// Reads a domain's name; U-labels stand for their A-labels.
pub(super) fn read_name(element: &Element<'_, '_>) -> Option<(Apex, Pointer)> {
    match Apex::parse_unicode(element.text()?) {
        Ok(name) => Some((name, element.pointer().clone())),
        Err(error) => {
            element.refuse(error.to_string());
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::edge::tests::Server;

    #[test]
    fn pages_follow_each_other_without_a_gap() {
        let server = Server::with_pool();
        let names: Vec<String> = (0..25).map(|n| format!("d{n:02}.example")).collect();
        server.call(
            "POST",
            "/v1/domains",
            Some(&json!({"pool": "main", "names": names})),
        );

        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/v1/domains?pool=main&state=standby&limit=10{after}");
            let page = server.call("GET", &path, None).json;
            let items = page["items"].as_array().unwrap().iter();
            seen.extend(items.map(|item| item["name"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else {
                break;
            };
            after = format!("&after={next}");
        }

        assert_eq!(seen, names);
        let none = server.call("GET", "/v1/domains?state=active", None).json;
        assert_eq!(none["items"], json!([]));
    }

    #[test]
    fn what_can_be_retired_is_listed() {
        let server = Server::start();
        let mut settings = crate::api::edge::tests::settings();
        settings["drain"] = json!("0s");
        settings["readiness"] = json!({"delegated": false, "secured": "no", "mail_ready": false});
        server.call("PUT", "/v1/pools/main", Some(&settings));
        let body = json!({"pool": "main", "names": ["a.example", "b.example", "c.example"]});
        server.call("POST", "/v1/domains", Some(&body));
        let steps = json!({"reason": "a test", "changes": [
            {"op": "transition", "domain": "a.example", "to": "active"},
            {"op": "transition", "domain": "b.example", "to": "active"},
            {"op": "transition", "domain": "a.example", "to": "draining"},
            {"op": "transition", "domain": "b.example", "to": "draining"},
            {"op": "hold", "domain": "b.example"},
        ]});
        let made = server.call("POST", "/v1/changes", Some(&steps));
        assert_eq!(made.status, 200, "{made:?}");

        let due = server.call("GET", "/v1/domains?retire_due=true&pool=main", None);
        let none = server.call("GET", "/v1/domains?retire_due=true&after=a.example", None);
        let both = server.call("GET", "/v1/domains?retire_due=true&state=active", None);

        let items = due.json["items"].as_array().unwrap();
        let names: Vec<_> = items.iter().map(|item| &item["name"]).collect();
        assert_eq!(names, ["a.example"], "the other is held: {due:?}");
        assert_eq!(none.json, json!({"items": [], "next": null}));
        assert_eq!(both.status, 422, "{both:?}");
    }

    #[test]
    fn a_change_of_an_old_version_is_refused() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "name": "a.example"});
        let tag = server.call("POST", "/v1/domains", Some(&body)).tag.unwrap();
        let patch = |tag: &str, registrar: &str| {
            let headers = [("content-type", "application/json"), ("if-match", tag)];
            let body = json!({"registrar": registrar}).to_string();
            server.send("PATCH", "/v1/domains/a.example", &headers, &body)
        };

        let first = patch(&tag, "one");
        let second = patch(&tag, "two");

        assert_eq!(first.status, 200, "{first:?}");
        assert_eq!(first.json["registrar"], "one");
        assert_eq!(second.status, 412, "{second:?}");
        let shown = server.call("GET", "/v1/domains/a.example", None);
        assert_eq!(shown.json["registrar"], "one");
        assert_eq!(shown.tag, first.tag);
        let headers = [("if-none-match", shown.tag.as_deref().unwrap())];
        let same = server.send("GET", "/v1/domains/a.example", &headers, "");
        assert_eq!(same.status, 304);
    }

    #[test]
    fn what_was_seen_of_an_old_version_is_refused() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "name": "a.example"});
        let tag = server.call("POST", "/v1/domains", Some(&body)).tag.unwrap();
        let observed = |tag: &str, said: Value| {
            let headers = [("content-type", "application/json"), ("if-match", tag)];
            let path = "/v1/domains/a.example/observed";
            server.send("POST", path, &headers, &said.to_string())
        };

        let first = observed(&tag, json!({"ns": true}));
        let second = observed(&tag, json!({"ns": false}));

        assert_eq!(first.status, 200, "{first:?}");
        assert_eq!(second.status, 412, "{second:?}");
        let shown = server.call("GET", "/v1/domains/a.example", None).json;
        assert_eq!(shown["conditions"][1]["status"], "true", "{shown}");
    }

    #[test]
    fn null_forgets_and_absence_keeps() {
        let server = Server::with_pool();
        let body = json!({
            "pool": "main", "name": "a.example", "registrar": "r", "labels": {"k": "v"},
            "expires_at": "2027-01-01T00:00:00Z",
        });
        server.call("POST", "/v1/domains", Some(&body));

        let patch = json!({"registrar": null, "labels": {"x": "y"}});
        let answer = server.call("PATCH", "/v1/domains/a.example", Some(&patch));

        assert_eq!(answer.json["registrar"], Value::Null);
        assert_eq!(answer.json["labels"], json!({"x": "y"}));
        assert_eq!(answer.json["expires_at"], "2027-01-01T00:00:00Z");
    }

    #[test]
    fn ds_and_zone_are_for_registrars_and_name_servers() {
        let server = Server::with_pool();
        server.call(
            "POST",
            "/v1/domains",
            Some(&json!({"pool": "main", "name": "a.example"})),
        );

        let ds = server.call("GET", "/v1/domains/a.example/ds", None);
        let data = server.call("GET", "/v1/domains/a.example/zone", None);
        let signed = server.call("GET", "/v1/domains/a.example/zone?signed=true", None);

        assert_eq!(ds.json["dnskey"][0]["flags"], 257, "{ds:?}");
        assert_eq!(ds.json["cds"][0]["digest"], ds.json["ds"][0]["digest"]);
        assert_eq!(data.media_type, "text/dns; charset=utf-8");
        let text =
            |answer: crate::api::edge::tests::Answer| String::from_utf8(answer.octets).unwrap();
        let (data, signed) = (text(data), text(signed));
        assert!(
            data.contains("\tMX\t10 mx1.a.example.") && !data.contains("RRSIG"),
            "{data}"
        );
        assert!(
            signed.contains("\tRRSIG\t") && signed.contains("\tNSEC\t"),
            "{signed}"
        );
    }

    #[test]
    fn the_policy_file_is_what_the_domains_web_host_serves() {
        let server = Server::with_pool();
        let mut pool = crate::api::edge::tests::settings();
        pool["mta_sts"] = json!({"mode": "testing", "addresses": ["192.0.2.80"]});
        server.call("PUT", "/v1/pools/with", Some(&pool));
        for (pool, name) in [("main", "a.example"), ("with", "b.example")] {
            server.call(
                "POST",
                "/v1/domains",
                Some(&json!({"pool": pool, "name": name})),
            );
        }

        let none = server.call("GET", "/v1/domains/a.example/mta-sts.txt", None);
        let policy = server.call("GET", "/v1/domains/b.example/mta-sts.txt", None);

        assert_eq!(none.status, 404, "{none:?}");
        assert_eq!(none.media_type, "application/problem+json");
        assert_eq!(policy.media_type, "text/plain", "{policy:?}");
        let text = String::from_utf8(policy.octets).unwrap();
        assert_eq!(
            text,
            "version: STSv1\r\nmode: testing\r\nmax_age: 604800\r\nmx: mx1.b.example\r\n"
        );
    }

    #[test]
    fn a_list_of_a_pool_that_is_not_there_is_a_mistake() {
        let server = Server::with_pool();

        let answer = server.call("GET", "/v1/domains?pool=nope", None);

        assert_eq!(answer.status, 422, "{answer:?}");
        assert_eq!(answer.pointers(), ["/pool".to_owned()].into());
    }

    #[test]
    fn deleting_is_for_domains_that_were_never_delegated_or_by_force() {
        let server = Server::with_pool();
        for (name, fresh) in [("a.example", true), ("b.example", false)] {
            let body = json!({"pool": "main", "name": name, "fresh": fresh});
            server.call("POST", "/v1/domains", Some(&body));
        }

        let refused = server.call("DELETE", "/v1/domains/b.example", None);

        assert_eq!(refused.status, 409, "{refused:?}");
        for path in ["/v1/domains/a.example", "/v1/domains/b.example?force=true"] {
            let answer = server.call("DELETE", path, None);
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(answer.json["revision"].is_u64());
        }
        assert_eq!(
            server.call("GET", "/v1/domains/a.example", None).status,
            404
        );
    }
}
