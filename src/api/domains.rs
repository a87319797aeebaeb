//! `/v1/domains`: added, listed, shown, moved through their life, deleted.

use std::collections::{BTreeMap, HashSet};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::call::{self, Call, Wish, json as answer, resource, with_tag};
use super::problem::{Kind, Problem};
use super::show;
use super::steps::{Form, Place, Steps, whole};
use super::zones::{Served, delegation, served};
use crate::clock::Timestamp;
use crate::document::{Element, Faults, Fields, Pointer};
use crate::engine::{AddDomain, Domain, DomainFilter, Op};
use crate::mail::mta_sts_file;
use crate::wire::Apex;

/// The most domains that a page shows.
const PAGE: u64 = 1_000;
/// The most domains that one batch adds.
const BATCH: usize = 10_000;
/// The keys of a document that adds domains.
pub(super) const ADD_KEYS: [&str; 7] = [
    "pool",
    "name",
    "names",
    "fresh",
    "registrar",
    "expires_at",
    "labels",
];

/// Returns a page of domains.
pub(super) async fn list(call: Call) -> Result<Response, Problem> {
    let params = call.params(&["pool", "state", "after", "limit"]);
    let filter = DomainFilter {
        pool: params.with("pool", |pool| match call.api.engine.view().pool(pool) {
            Some(_) => Ok(pool.to_owned()),
            None => Err(format!("there is no pool {pool:?}")),
        }),
        state: params.parsed("state"),
    };
    let after: Option<Apex> = params.with("after", |text| {
        Apex::parse_unicode(text).map_err(|error| error.to_string())
    });
    let limit = params.number("limit", 1, PAGE, PAGE) as usize;
    params.finish()?;
    let page = call
        .api
        .engine
        .view()
        .domains(&filter, after.as_ref(), limit);
    let items: Vec<Value> = page.items.iter().map(show::listed_domain).collect();
    let next = page.next.map(|name| name.to_api_text());
    Ok(answer(
        StatusCode::OK,
        &json!({"items": items, "next": next}),
    ))
}

/// Adds one domain, or a batch of them.
pub(super) async fn add(mut call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let (document, octets) = call.json().await?;
    let faults = Faults::new();
    let mut steps = Steps::default();
    let read = whole(&document, &faults)
        .fields(&ADD_KEYS)
        .and_then(|fields| read_add(&fields, &mut steps, 0, IfThere::Refuse));
    faults.finish(read).map_err(Problem::invalid)?;
    let names = added(&steps);
    let wish = Wish {
        id: call.idempotency(&octets)?,
        ..Wish::default()
    };
    let outcome = call.change(steps, wish).await?;
    if document.get("names").is_some_and(|names| !names.is_null()) {
        return Ok(batch(&call, &names, outcome.revision));
    }
    let Some(name) = names.first() else {
        return Ok(answer(
            StatusCode::CREATED,
            &json!({"revision": outcome.revision}),
        ));
    };
    let current = show::current_domain(&call.api.engine.view(), name);
    // Called again under its key, the answer may come after the domain has gone.
    let (tag, mut document) = current.unwrap_or_else(|| {
        let gone = json!({"name": name.to_api_text(), "ds": []});
        (outcome.revision, gone)
    });
    document["revision"] = json!(outcome.revision);
    let mut response = with_tag(answer(StatusCode::CREATED, &document), tag);
    let location = format!("/v1/domains/{}", name.to_api_text());
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
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
    Ok(changed(&call, &name, outcome.revision))
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

/// Moves a domain to another state of its life.
pub(super) async fn transition(mut call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let name = call.apex("name")?;
    let (document, octets) = call.json().await?;
    let faults = Faults::new();
    let read = whole(&document, &faults)
        .fields(&["to", "force", "reason"])
        .and_then(|fields| {
            let to = fields.required("to").and_then(|to| to.parsed());
            let force = fields.or("force", false, |force| force.boolean());
            let reason = fields.optional("reason").and_then(|reason| reason.text());
            Some((to?, force, reason.map(str::to_owned)))
        });
    let (to, force, reason) = faults.finish(read).map_err(Problem::invalid)?;
    let op = Op::Transition {
        name: name.clone(),
        to,
        force,
        if_match: call.if_match()?,
    };
    let wish = Wish {
        reason,
        id: call.idempotency(&octets)?,
        ..Wish::default()
    };
    let outcome = call.change(Steps::one(op, Form::Plain), wish).await?;
    Ok(changed(&call, &name, outcome.revision))
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

/// Answers with a domain after a change of it.
pub(super) fn changed(call: &Call, name: &Apex, revision: u64) -> Response {
    let current = show::current_domain(&call.api.engine.view(), name);
    let (tag, mut document) = current.unwrap_or_else(|| (revision, json!({})));
    document["revision"] = json!(revision);
    with_tag(answer(StatusCode::OK, &document), tag)
}

/// Whether a domain that is in the pool already is a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfThere {
    /// It is: the caller wants to create it.
    Refuse,
    /// It is not: the caller wants it to be there.
    Pass,
}

/// What is said about a domain beside its name.
struct About {
    /// Where it is registered.
    registrar: Option<String>,
    /// When its registration ends.
    expires_at: Option<Timestamp>,
    /// The operator's own labels.
    labels: BTreeMap<String, String>,
}

/// Reads a document that adds domains, and appends a step for each.
pub(super) fn read_add(
    fields: &Fields<'_, '_>,
    steps: &mut Steps,
    step: usize,
    if_there: IfThere,
) -> Option<()> {
    let pool = fields.required("pool").and_then(|pool| pool.text());
    let fresh = fields.optional("fresh").and_then(|fresh| fresh.boolean());
    let about = read_about(fields);
    let names = read_names(fields);
    let (pool, names) = (pool?, names?);
    for (name, pointer) in names {
        let add = AddDomain {
            pool: pool.to_owned(),
            name,
            if_absent: if_there == IfThere::Pass,
            fresh,
            registrar: about.registrar.clone(),
            expires_at: about.expires_at,
            labels: about.labels.clone(),
        };
        let place = Place {
            step,
            document: fields.pointer().clone(),
            form: Form::Name(pointer),
        };
        steps.push(Op::AddDomain(add), place);
    }
    Some(())
}

/// Reads `name` or `names`; every name that is wrong is noted, and one that comes twice.
fn read_names(fields: &Fields<'_, '_>) -> Option<Vec<(Apex, Pointer)>> {
    let (name, names) = (fields.optional("name"), fields.optional("names"));
    let names = match (name, names) {
        (Some(name), None) => return read_name(&name).map(|name| vec![name]),
        (None, Some(names)) => names.array()?,
        (Some(_), Some(_)) => {
            fields.refuse("names", "expected name or names, found both");
            return None;
        }
        (None, None) => {
            fields.refuse("name", "expected name or names, found neither");
            return None;
        }
    };
    if names.is_empty() || names.len() > BATCH {
        let found = names.len();
        fields.refuse(
            "names",
            format!("expected 1 to {BATCH} names, found {found}"),
        );
        return None;
    }
    let mut seen = HashSet::with_capacity(names.len());
    let read: Vec<Option<(Apex, Pointer)>> = names
        .iter()
        .map(|element| {
            let (name, pointer) = read_name(element)?;
            if !seen.insert(name.clone()) {
                element.refuse(format!("{:?} is named twice", name.to_api_text()));
                return None;
            }
            Some((name, pointer))
        })
        .collect();
    read.into_iter().collect()
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

/// Reads what is said about a domain beside its name.
fn read_about(fields: &Fields<'_, '_>) -> About {
    let registrar = fields.optional("registrar");
    let registrar = registrar.and_then(|registrar| registrar.text());
    let expires_at = fields.optional("expires_at");
    let labels = fields.optional("labels").and_then(|labels| {
        let entries = labels.entries()?.into_iter();
        let labels = entries.map(|(key, value)| Some((key.to_owned(), value.text()?.to_owned())));
        labels.collect::<Vec<_>>().into_iter().collect()
    });
    About {
        registrar: registrar.map(str::to_owned),
        expires_at: expires_at.and_then(|moment| moment.parsed()),
        labels: labels.unwrap_or_default(),
    }
}

/// Returns the names that steps add.
fn added(steps: &Steps) -> Vec<Apex> {
    let names = steps.ops().iter().filter_map(|op| match op {
        Op::AddDomain(add) => Some(add.name.clone()),
        _ => None,
    });
    names.collect()
}

/// The answer to a batch.
#[derive(Serialize)]
struct BatchDocument {
    /// How many domains there are.
    created: usize,
    /// Each domain.
    items: Vec<BatchItem>,
    /// The revision at which they are there.
    revision: u64,
}

/// A domain in the answer to a batch.
#[derive(Serialize)]
struct BatchItem {
    /// What its parent must be told.
    ds: Vec<show::DsDocument>,
    /// Its name.
    name: String,
}

/// How many domains are looked up while the facts are held still, which the writer waits for.
const SLICE: usize = 256;

/// Answers to a batch: each domain with its DS.
///
/// Written without a tree in between, which would take several times as long for ten thousand.
fn batch(call: &Call, names: &[Apex], revision: u64) -> Response {
    let mut items = Vec::with_capacity(names.len());
    for names in names.chunks(SLICE) {
        let view = call.api.engine.view();
        let found: Vec<Option<Domain>> = names.iter().map(|name| view.domain(name)).collect();
        drop(view);
        items.extend(names.iter().zip(found).map(|(name, found)| BatchItem {
            ds: found.map_or_else(Vec::new, |domain| show::ds_documents(name, &domain.ds)),
            name: name.to_api_text(),
        }));
    }
    let created = names.len();
    let document = BatchDocument {
        created,
        items,
        revision,
    };
    call::document(StatusCode::CREATED, &document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::edge::tests::Server;

    #[test]
    fn a_batch_is_created_whole_with_its_ds() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "names": ["a.example", "B.example.", "bücher.example"]});

        let answer = server.call("POST", "/v1/domains", Some(&body));

        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.json["created"], 3);
        let items = answer.json["items"].as_array().unwrap();
        let names: Vec<&Value> = items.iter().map(|item| &item["name"]).collect();
        assert_eq!(names, ["a.example", "b.example", "xn--bcher-kva.example"]);
        let text = items[0]["ds"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("a.example. IN DS "), "{text}");
    }

    #[test]
    fn every_wrong_name_of_a_batch_is_named_and_nothing_is_created() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "names": [
            "good.example", "a..example", "", "under_score.example", "GOOD.example", 7,
        ]});

        let answer = server.call("POST", "/v1/domains", Some(&body));

        assert_eq!(answer.status, 422, "{answer:?}");
        let wrong = ["/names/1", "/names/2", "/names/3", "/names/4", "/names/5"];
        assert_eq!(answer.pointers(), wrong.map(str::to_owned).into());
        let page = server.call("GET", "/v1/domains", None);
        assert_eq!(page.json, json!({"items": [], "next": null}));
    }

    #[test]
    fn what_clashes_with_what_is_there_is_named_too() {
        let server = Server::with_pool();
        server.call(
            "POST",
            "/v1/domains",
            Some(&json!({"pool": "main", "name": "a.example"})),
        );
        let body = json!({"pool": "main", "names": ["b.example", "a.example", "x.a.example"]});

        let answer = server.call("POST", "/v1/domains", Some(&body));

        assert_eq!(answer.status, 409, "{answer:?}");
        assert_eq!(
            answer.pointers(),
            ["/names/1", "/names/2"].map(str::to_owned).into()
        );
        let other = server.call(
            "POST",
            "/v1/domains",
            Some(&json!({
                "pool": "other", "names": ["c.example", "d.example"],
            })),
        );
        assert_eq!(other.status, 422, "{other:?}");
        assert_eq!(other.pointers(), ["/pool".to_owned()].into());
    }

    #[test]
    fn ten_thousand_and_one_names_are_too_many() {
        let server = Server::with_pool();
        let names: Vec<String> = (0..10_001).map(|n| format!("d{n}.example")).collect();

        let body = json!({"pool": "main", "names": names});
        let answer = server.call("POST", "/v1/domains", Some(&body));

        assert_eq!(answer.status, 422);
        assert_eq!(answer.pointers(), ["/names".to_owned()].into());
    }

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
    fn a_key_stands_for_one_request_and_gives_one_answer() {
        let server = Server::with_pool();
        let post = |key: &str, name: &str| {
            let headers = [
                ("content-type", "application/json"),
                ("idempotency-key", key),
            ];
            let body = json!({"pool": "main", "name": name}).to_string();
            server.send("POST", "/v1/domains", &headers, &body)
        };

        let first = post("k1", "a.example");
        let again = post("k1", "a.example");

        assert_eq!(first.status, 201, "{first:?}");
        assert_eq!((again.status, &again.json), (201, &first.json));
        let other = post("k1", "b.example");
        assert_eq!(other.status, 422);
        assert_eq!(other.json["type"], "/problems/key-reused");
        assert_eq!(post("k2", "a.example").status, 409);
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
    fn a_step_that_must_wait_says_for_what() {
        let server = Server::start();
        let mut settings = crate::api::edge::tests::settings();
        settings["readiness"] = json!({"delegated": true, "secured": "no", "mail_ready": false});
        server.call("PUT", "/v1/pools/main", Some(&settings));
        server.call(
            "POST",
            "/v1/domains",
            Some(&json!({"pool": "main", "name": "a.example"})),
        );
        let step =
            |body: Value| server.call("POST", "/v1/domains/a.example/transition", Some(&body));

        let early = step(json!({"to": "active"}));
        let bare = step(json!({"to": "active", "force": true}));
        let forced = step(json!({"to": "active", "force": true, "reason": "known"}));

        assert_eq!(early.status, 409, "{early:?}");
        assert!(
            early.json["waiting_for"][0]["rule"].is_string(),
            "{early:?}"
        );
        assert_eq!(bare.status, 422);
        assert_eq!(bare.pointers(), ["/reason".to_owned()].into());
        assert_eq!(forced.status, 200, "{forced:?}");
        assert_eq!(forced.json["state"], "active");
        assert_eq!(
            step(json!({"to": "asleep"})).pointers(),
            ["/to".to_owned()].into()
        );
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
