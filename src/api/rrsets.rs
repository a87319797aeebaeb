//! `/v1/domains/{name}/rrsets`: records of one domain alone.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::call::{Call, Wish, blocking, json as answer, resource, with_tag};
use super::domains::find;
use super::problem::{Kind, Problem};
use super::show;
use super::steps::{Form, Steps, whole};
use super::zones::internal;
use crate::document::{Faults, Fields};
use crate::engine::Op;
use crate::wire::{Apex, Name, Rdata, RelativeName, RelativeRdata, Rtype, Ttl};
use crate::zone::RelativeRrset;

/// What a `GET` of an RRset shows beside what is put.
pub(super) const READ_ONLY: [&str; 4] = ["name", "owner", "type", "own"];

/// Shows an RRset of a domain, its own or the pool's.
pub(super) async fn show(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let (owner, rtype) = key(&call)?;
    let domain = find(&call)?;
    let mut own = domain.extra.iter();
    let own = own.find(|rrset| rrset.owner == owner && rrset.rtype == rtype);
    let (rrset, is_own) = match own {
        Some(own) => (own.clone(), true),
        None => (served(&call, &domain.name, owner, rtype).await?, false),
    };
    let mut document = show::rrset(&domain.name, &rrset);
    document["name"] = json!(domain.name.to_api_text());
    document["own"] = json!(is_own);
    Ok(resource(&call, domain.revision, &document))
}

/// Gives a domain an RRset of its own, or replaces it.
pub(super) async fn put(mut call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let (owner, rtype) = key(&call)?;
    let domain = find(&call)?;
    let (document, _) = call.json().await?;
    let faults = Faults::new();
    let read = whole(&document, &faults)
        .fields_ignoring(&["ttl", "records"], &READ_ONLY)
        .and_then(|fields| read_rrset(&fields, &domain.name, owner.clone(), rtype));
    let rrset = faults.finish(read).map_err(Problem::invalid)?;
    let mut extra = domain.extra.iter();
    let existed = extra.any(|rrset| rrset.owner == owner && rrset.rtype == rtype);
    let op = Op::PutRrset {
        domain: domain.name.clone(),
        rrset,
        if_match: call.if_match()?,
    };
    let steps = Steps::one(op, Form::Plain);
    let outcome = call.change(steps, Wish::default()).await?;
    let status = if existed {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    Ok(changed(&call, &domain.name, status, outcome.revision))
}

/// Takes an RRset of its own from a domain.
pub(super) async fn delete(call: Call) -> Result<Response, Problem> {
    call.params(&[]).finish()?;
    let (owner, rtype) = key(&call)?;
    let name = call.apex("name")?;
    let op = Op::DeleteRrset {
        domain: name.clone(),
        owner,
        rtype,
        if_match: call.if_match()?,
    };
    let steps = Steps::one(op, Form::Plain);
    let outcome = call.change(steps, Wish::default()).await?;
    Ok(changed(&call, &name, StatusCode::OK, outcome.revision))
}

/// Reads TTL and records of an RRset.
pub(super) fn read_rrset(
    fields: &Fields<'_, '_>,
    apex: &Apex,
    owner: RelativeName,
    rtype: Rtype,
) -> Option<RelativeRrset> {
    let most = u64::from(Ttl::MAX.as_secs());
    let ttl = fields.required("ttl").and_then(|ttl| ttl.number(0, most));
    let records = fields.required("records").and_then(|records| {
        let read = records.each(
            |record| match Rdata::parse_text(rtype, record.text()?, apex) {
                Ok(rdata) => Some(RelativeRdata::relative_to(rtype, &rdata, apex)),
                Err(error) => {
                    record.refuse(error.to_string());
                    None
                }
            },
        )?;
        if read.is_empty() {
            records.refuse("expected at least one record, found none");
            return None;
        }
        Some(read)
    });
    Some(RelativeRrset {
        owner,
        rtype,
        ttl: Ttl::from_secs(u32::try_from(ttl?).ok()?),
        rdatas: records?,
    })
}

/// Reads an owner as a master file has it: absolute with a final dot, else relative to the domain.
///
/// # Errors
///
/// When it is no name, or one that is not in the domain; both are named.
pub(super) fn read_owner(text: &str, apex: &Apex) -> Result<RelativeName, String> {
    if !ends_with_dot(text) {
        return RelativeName::parse(text).map_err(|error| error.to_string());
    }
    let name = Name::parse(text).map_err(|error| error.to_string())?;
    let owner = name.relative_to(apex);
    owner.ok_or_else(|| {
        let apex = apex.to_api_text();
        format!("the owner {text} ends with a dot, so it is a full name, and it is not in {apex}")
    })
}

/// Returns whether a name is absolute: its last dot is no part of a label (RFC 1035, section 5.1).
fn ends_with_dot(text: &str) -> bool {
    text.strip_suffix('.').is_some_and(|labels| {
        let backslashes = labels.bytes().rev().take_while(|octet| *octet == b'\\');
        backslashes.count() % 2 == 0
    })
}

/// Returns the owner and the type that the path names.
fn key(call: &Call) -> Result<(RelativeName, Rtype), Problem> {
    let invalid =
        |name: &str, error: String| Problem::new(Kind::Invalid, format!("{name}: {error}"));
    let owner = read_owner(call.segment("owner"), &call.apex("name")?);
    let owner = owner.map_err(|error| invalid("owner", error))?;
    let rtype = call.segment("type").parse();
    let rtype =
        rtype.map_err(|error: crate::wire::RtypeError| invalid("type", error.to_string()))?;
    Ok((owner, rtype))
}

/// Returns an RRset as it is served.
async fn served(
    call: &Call,
    apex: &Apex,
    owner: RelativeName,
    rtype: Rtype,
) -> Result<RelativeRrset, Problem> {
    let (engine, apex) = (call.api.engine.clone(), apex.clone());
    let found = blocking(move || {
        let missing = || Problem::not_found("rrset", &format!("{apex} {owner} {rtype}"));
        let stored = engine.signed_zone(&apex).map_err(|e| internal(&e))?;
        let (zone, template) = stored.ok_or_else(missing)?;
        let shared = template.rrsets().iter().chain(&zone.own);
        let mut found = shared.filter(|rrset| rrset.owner == owner && rrset.rtype == rtype);
        found.next().cloned().ok_or_else(missing)
    });
    found.await?
}

/// Answers to a change of a domain's RRsets.
fn changed(call: &Call, name: &Apex, status: StatusCode, revision: u64) -> Response {
    let document: Value = json!({"revision": revision, "name": name.to_api_text()});
    let response = answer(status, &document);
    match call.api.engine.view().domain(name) {
        Some(domain) => with_tag(response, domain.revision),
        None => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::edge::tests::Server;

    #[test]
    fn an_rrset_of_its_own_is_put_shown_and_taken_away() {
        let server = Server::with_pool();
        server.call(
            "POST",
            "/v1/domains",
            Some(&json!({"pool": "main", "name": "a.example"})),
        );
        let path = "/v1/domains/a.example/rrsets/www/CNAME";
        let body = json!({"ttl": 300, "records": ["web"]});

        let put = server.call("PUT", path, Some(&body));
        let shown = server.call("GET", path, None);

        assert_eq!(put.status, 201, "{put:?}");
        assert_eq!(shown.json["records"], json!(["web.a.example."]));
        assert_eq!(shown.json["own"], true);
        assert_eq!(server.call("PUT", path, Some(&shown.json)).status, 200);
        assert_eq!(server.call("DELETE", path, None).status, 200);
        assert_eq!(server.call("GET", path, None).status, 404);
        assert_eq!(server.call("DELETE", path, None).status, 404);
    }

    #[test]
    fn what_the_pool_owns_can_be_seen_and_not_changed() {
        let server = Server::with_pool();
        server.call(
            "POST",
            "/v1/domains",
            Some(&json!({"pool": "main", "name": "a.example"})),
        );
        let path = "/v1/domains/a.example/rrsets/@/MX";

        let shown = server.call("GET", path, None);
        let body = json!({"ttl": 300, "records": ["10 evil.example."]});
        let put = server.call("PUT", path, Some(&body));

        assert_eq!(shown.json["records"], json!(["10 mx1.a.example."]));
        assert_eq!(shown.json["own"], false);
        assert_eq!(put.status, 409, "{put:?}");
    }

    #[test]
    fn an_owner_with_a_final_dot_is_a_full_name() {
        let apex = Apex::parse("a.example").unwrap();
        let read = |text: &str| read_owner(text, &apex).map(|owner| owner.to_string());

        assert_eq!(read("www.a.example."), Ok("www".to_owned()));
        assert_eq!(read("A.Example."), Ok("@".to_owned()));
        assert_eq!(read("www.a.example"), Ok("www.a.example".to_owned()));
        assert_eq!(read(r"odd\."), Ok(r"odd\.".to_owned()));
        let refused = read("www.b.example.").unwrap_err();
        assert!(
            refused.contains("www.b.example.") && refused.contains("not in a.example"),
            "{refused}"
        );
        assert!(read(".").is_err());
    }

    #[test]
    fn every_wrong_record_is_named() {
        let server = Server::with_pool();
        server.call(
            "POST",
            "/v1/domains",
            Some(&json!({"pool": "main", "name": "a.example"})),
        );
        let body = json!({"ttl": "1h", "records": ["192.0.2.1", "192.0.2.256", 7]});

        let answer = server.call("PUT", "/v1/domains/a.example/rrsets/www/A", Some(&body));

        assert_eq!(answer.status, 422, "{answer:?}");
        let wrong = ["/records/1", "/records/2", "/ttl"];
        assert_eq!(answer.pointers(), wrong.map(str::to_owned).into());
        let none = json!({"ttl": 300, "records": []});
        let answer = server.call("PUT", "/v1/domains/a.example/rrsets/www/A", Some(&none));
        assert_eq!(answer.pointers(), ["/records".to_owned()].into());
    }
}
