use std::collections::{BTreeMap, HashSet};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{self, Call, Wish, json as answer, resource, with_tag};
use super::problem::Problem;
use super::show;
use super::steps::{Form, Place, Steps, whole};
use super::zones::{Served, delegation, served};
use crate::clock::Timestamp;
use crate::document::{Element, Faults, Fields, Pointer};
use crate::engine::{AddDomain, Domain, DomainFilter, Op};
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
        pool: params.text("pool").map(str::to_owned),
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
    let outcome = call.change(Steps::one(op, Form::Plain), wish).await?;
    Ok(answer(
        StatusCode::OK,
        &json!({"revision": outcome.revision}),
    ))
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

/// Returns the domain that the path names.
pub(super) fn find(call: &Call) -> Result<Domain, Problem> {
    let name = call.apex("name")?;
    let domain = call.api.engine.view().domain(&name);
    domain.ok_or_else(|| Problem::not_found("domain", call.segment("name")))
}

/// Answers with a domain after a change of it.
fn changed(call: &Call, name: &Apex, revision: u64) -> Response {
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

/// Answers to a batch: each domain with its DS.
fn batch(call: &Call, names: &[Apex], revision: u64) -> Response {
    let view = call.api.engine.view();
    let items = names.iter().map(|name| {
        let domain = view.domain(name);
        let ds = domain.map_or_else(|| json!([]), |domain| show::ds(name, &domain.ds));
        json!({"name": name.to_api_text(), "ds": ds})
    });
    let items: Vec<Value> = items.collect();
    drop(view);
    let document = json!({"revision": revision, "created": names.len(), "items": items});
    answer(StatusCode::CREATED, &document)
}
