//! The OpenAPI document, made from the list of routes.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{Object, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, InfoBuilder, OpenApiBuilder, PathsBuilder, Ref, RefOr, Required, ResponseBuilder,
};

use super::backup;
use super::routes::{self, HttpVerb, Route};
use super::schema::{self, Shape};
use super::wait;

/// What the bearer scheme is called in the document.
const SCHEME: &str = "token";

/// Returns the API's OpenAPI document, as JSON.
pub fn openapi() -> String {
    let routes = routes::all();
    let paths = routes.iter().fold(PathsBuilder::new(), |paths, route| {
        let item = PathItem::new(route.about.method.in_openapi(), operation(route));
        paths.path(route.path, item)
    });
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The token that the first start writes"))
        .build();
    let components = schema::components().security_scheme(SCHEME, SecurityScheme::Http(scheme));
    let info = InfoBuilder::new()
        .title("mxpool")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "The admin API of an authoritative DNS server for mail domains",
        ));
    let document = OpenApiBuilder::new()
        .info(info.build())
        .paths(paths.build())
        .components(Some(components.build()))
        .build();
    document
        .to_pretty_json()
        .expect("texts, numbers and lists can be written as JSON")
}

/// Describes what a route does.
fn operation(route: &Route) -> OperationBuilder {
    let about = &route.about;
    let mut operation = OperationBuilder::new()
        .summary(Some(about.summary))
        .operation_id(Some(operation_id(route)))
        .tag(tag(route.path));
    let names = route.path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?;
        name.strip_suffix('}')
    });
    for name in names {
        let text = Object::with_type(Type::String);
        operation = operation.parameter(parameter(name, ParameterIn::Path, Required::True, text));
    }
    for name in about.query {
        let schema = query_schema(route.path, name);
        operation =
            operation.parameter(parameter(name, ParameterIn::Query, Required::False, schema));
    }
    if changes_something(route) {
        for (name, what) in [
            (
                "wait",
                "Answer when this is so: `live` (every listed server serves it) or \
                      `cache_clear` (no cache can hold what was before)",
            ),
            (
                "timeout",
                "How long to wait at most, like `30s`; a minute without it",
            ),
        ] {
            let text = Object::with_type(Type::String);
            let parameter = parameter(name, ParameterIn::Query, Required::False, text);
            operation = operation.parameter(parameter.description(Some(what)));
        }
    }
    for header in request_headers(route) {
        let text = Object::with_type(Type::String);
        let header = parameter(header, ParameterIn::Header, Required::False, text);
        operation = operation.parameter(header);
    }
    if let Some(request) = about.request {
        let body = RequestBodyBuilder::new()
            .content(request.media_type(), request.content())
            .required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    let good = headers(route).into_iter().fold(
        ResponseBuilder::new()
            .description("Done")
            .content(about.answer.media_type(), about.answer.content()),
        |response, (name, what)| {
            let text = Object::with_type(Type::String);
            let header = HeaderBuilder::new()
                .schema(Some(text))
                .description(Some(what));
            response.header(name, header.build())
        },
    );
    let good = good.build();
    if about.method == HttpVerb::Put {
        let mut created = good.clone();
        created.description = "Created".to_owned();
        operation = operation.response("201", created);
    }
    if about.request == Some(Shape::Changes) {
        let mut accepted = good.clone();
        accepted.description = "Accepted for its moment".to_owned();
        let place = HeaderBuilder::new()
            .schema(Some(Object::with_type(Type::String)))
            .description(Some("Where the change is shown"));
        accepted
            .headers
            .insert("Location".to_owned(), RefOr::T(place.build()));
        operation = operation.response("202", accepted);
    }
    if about.method == HttpVerb::Get && shows_tag(route) {
        let same = ResponseBuilder::new().description("What If-None-Match names is still current");
        operation = operation.response("304", same.build());
    }
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let bad = ResponseBuilder::new()
        .description("Refused; nothing took effect")
        .content("application/problem+json", problem);
    operation = operation
        .response(about.status.to_string(), good)
        .response("default", bad.build());
    if route.path.starts_with("/v1/") {
        let needs: [&str; 0] = [];
        operation = operation.security(SecurityRequirement::new(SCHEME, needs));
    }
    operation
}

/// Returns whether a route makes a change that can be waited for.
fn changes_something(route: &Route) -> bool {
    route.about.method != HttpVerb::Get && route.about.answer != Shape::HandOut
}

/// Returns the header fields that a route's requests may have.
fn request_headers(route: &Route) -> &'static [&'static str] {
    // What is done to one resource can be guarded by its tag.
    let of_one = route.path.contains("/{name}/") || route.path.ends_with("/rotate");
    match route.about.method {
        HttpVerb::Get if shows_tag(route) => &["If-None-Match"],
        HttpVerb::Get => &[],
        HttpVerb::Post if !changes_something(route) => &[],
        HttpVerb::Post if of_one => &["Idempotency-Key", "If-Match"],
        HttpVerb::Post => &["Idempotency-Key"],
        HttpVerb::Put | HttpVerb::Patch | HttpVerb::Delete => &["If-Match"],
    }
}

/// Describes a parameter.
fn parameter(
    name: &str,
    place: ParameterIn,
    required: Required,
    schema: impl Into<RefOr<Schema>>,
) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .schema(Some(schema))
}

/// Returns what a query parameter says.
fn query_schema(path: &str, name: &str) -> RefOr<Schema> {
    let kind = match (name, path) {
        ("state", _) => return Ref::from_schema_name("State").into(),
        ("limit" | "last" | "expect_domains", _) | ("after", "/v1/audit") => Type::Integer,
        ("dry_run" | "signed" | "force" | "retire_due", _) => Type::Boolean,
        _ => Type::String,
    };
    Object::with_type(kind).into()
}

/// Returns whether a route's `GET` answers with one resource under its tag.
fn shows_tag(route: &Route) -> bool {
    let shapes = [
        Shape::Pool,
        Shape::Domain,
        Shape::Delegation,
        Shape::Rrset,
        Shape::Routing,
    ];
    shapes.contains(&route.about.answer)
}

/// Returns the header fields of a good answer, each with what it says.
fn headers(route: &Route) -> Vec<(&'static str, &'static str)> {
    let about = &route.about;
    let mut headers = Vec::new();
    let one = route.path.ends_with('}') && about.method != HttpVerb::Delete;
    if one || shows_tag(route) || about.answer == Shape::Added {
        headers.push(("ETag", "The revision of the last change that touched it"));
    }
    if changes_something(route) {
        headers.push((wait::WAIT, "After waiting: `reached` or `timeout`"));
    }
    if about.answer == Shape::Added {
        headers.push(("Location", "Where the one domain that was added is shown"));
    }
    if about.answer == Shape::Octets {
        headers.push((backup::SEALING_KEY, "The sealing key that opens it"));
    }
    headers
}

/// Names an operation: `get_v1_domains_name_ds`.
fn operation_id(route: &Route) -> String {
    let verb = match route.about.method {
        HttpVerb::Get => "get",
        HttpVerb::Put => "put",
        HttpVerb::Post => "post",
        HttpVerb::Patch => "patch",
        HttpVerb::Delete => "delete",
    };
    let path = route.path.replace(['{', '}'], "");
    let path = path.replace(['/', '.', '-'], "_");
    format!("{verb}{path}")
}

/// Groups operations by what they are about.
fn tag(path: &str) -> &str {
    let below = path.strip_prefix("/v1/").unwrap_or("server");
    below.split('/').next().unwrap_or(below)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::edge::tests::{Answer, Server, settings};

    /// Returns what a schema finds wrong with a value; strict about members that it does not know.
    fn faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let schema = document.pointer(&reference[1..]).unwrap();
            return faults(document, schema, value, at);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let tried = choices.iter().map(|c| faults(document, c, value, at));
            let tried: Vec<Vec<String>> = tried.collect();
            let fits = tried.iter().filter(|faults| faults.is_empty()).count();
            return if fits == 1 {
                Vec::new()
            } else {
                vec![format!("{at}: {fits} of oneOf fit: {tried:?}")]
            };
        }
        let kinds = match &schema["type"] {
            Value::String(kind) => vec![kind.as_str()],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => return Vec::new(),
        };
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        if !kinds.contains(&kind) {
            return vec![format!("{at}: {kind} is none of {kinds:?}")];
        }
        let mut found = Vec::new();
        if let Some(words) = schema["enum"].as_array().filter(|w| !w.contains(value)) {
            found.push(format!("{at}: {value} is none of {words:?}"));
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            let below = format!("{at}/{index}");
            found.extend(faults(document, &schema["items"], item, &below));
        }
        let Some(members) = value.as_object() else {
            return found;
        };
        for name in schema["required"].as_array().into_iter().flatten() {
            if !members.contains_key(name.as_str().unwrap()) {
                found.push(format!("{at}: {name} is missing"));
            }
        }
        for (name, member) in members {
            let below = format!("{at}/{name}");
            let known = schema["properties"].get(name);
            let Some(known) = known.or(schema.get("additionalProperties")) else {
                found.push(format!("{below} is not described"));
                continue;
            };
            found.extend(faults(document, known, member, &below));
        }
        found
    }

    /// Returns the schema of a good answer, or of a refusal.
    fn answered<'d>(document: &'d Value, method: &str, path: &str, status: u16) -> &'d Value {
        let responses = &document["paths"][path][method]["responses"];
        match responses.get(status.to_string()) {
            Some(good) => &good["content"]["application/json"]["schema"],
            None => &responses["default"]["content"]["application/problem+json"]["schema"],
        }
    }

    #[test]
    fn what_is_sent_and_taken_is_what_is_described() {
        let server = Server::start();
        let document: Value = serde_json::from_str(&openapi()).unwrap();
        let mut pool = settings();
        pool["mta_sts"] = json!({"mode": "testing"});
        pool["mail_host"][0]
            .as_object_mut()
            .unwrap()
            .remove("preference");
        let changes = json!({"changes": [
            {"op": "put_zone", "zone": "infra.example",
             "records": "@ SOA ns1 h 1 2h 1h 4w 15m\n@ NS ns1\nns1 A 192.0.2.53\nns2 A 192.0.2.54\n"},
            {"op": "put_pool", "pool": "main", "settings": pool},
            {"op": "add_domain", "pool": "main", "names": ["a.example"], "labels": {"k": "v"}},
            {"op": "put_rrset", "domain": "a.example", "owner": "www", "type": "A", "ttl": 60,
             "records": ["192.0.2.7"]},
        ]});
        let one =
            json!({"pool": "main", "name": "b.example", "expires_at": "2027-01-01T00:00:00Z"});
        let many = json!({"pool": "main", "names": ["c.example", "d.example"]});
        let rrset = json!({"ttl": 60, "records": ["192.0.2.8"]});
        let step = json!({"to": "active"});
        let lives = json!({"reason": "a test", "changes": [
            {"op": "resume", "domain": "a.example"},
            {"op": "unhold", "name": "a.example"},
            {"op": "suspend", "domain": "b.example", "answer": "never"},
            {"op": "observed", "domain": "b.example", "ds": false},
            {"op": "hold", "domain": "b.example"},
            {"op": "transition", "domain": "a.example", "to": "draining"},
            {"op": "rotate", "pool": "main", "activate": 0},
            {"op": "delete_domain", "domain": "d.example", "force": true},
        ]});
        let later = json!({"at": "2030-01-01T00:00:00Z", "changes": [
            {"op": "hold", "domain": "b.example"},
        ]});
        let patch = json!({"registrar": "r", "labels": null});
        let a = "/v1/domains/a.example";
        let asked = [
            ("post", "/v1/changes", "/v1/changes", Some(&changes)),
            ("put", "/v1/pools/{pool}", "/v1/pools/other", Some(&pool)),
            ("post", "/v1/domains", "/v1/domains", Some(&one)),
            ("post", "/v1/domains", "/v1/domains", Some(&many)),
            (
                "put",
                "/v1/domains/{name}/rrsets/{owner}/{type}",
                &format!("{a}/rrsets/x/A"),
                Some(&rrset),
            ),
            (
                "get",
                "/v1/domains/{name}/rrsets/{owner}/{type}",
                &format!("{a}/rrsets/x/A"),
                None,
            ),
            (
                "post",
                "/v1/domains/{name}/transition",
                &format!("{a}/transition"),
                Some(&step),
            ),
            ("patch", "/v1/domains/{name}", a, Some(&patch)),
            ("get", "/v1/domains/{name}", a, None),
            ("get", "/v1/domains/{name}", "/v1/domains/b.example", None),
            ("get", "/v1/domains/{name}/ds", &format!("{a}/ds"), None),
            ("get", "/v1/domains", "/v1/domains?limit=1", None),
            ("get", "/v1/pools/{pool}", "/v1/pools/main", None),
            ("get", "/v1/pools", "/v1/pools", None),
            ("get", "/v1/zones", "/v1/zones", None),
            (
                "get",
                "/v1/zones/{zone}/keys",
                "/v1/zones/infra.example/keys",
                None,
            ),
            (
                "post",
                "/v1/domains/{name}/observed",
                &format!("{a}/observed"),
                Some(&json!({"ns": true, "reason": "I looked"})),
            ),
            (
                "post",
                "/v1/pools/{pool}/rotate",
                "/v1/pools/main/rotate?dry_run=true",
                Some(&json!({"burn": ["a.example"], "activate": 3})),
            ),
            (
                "post",
                "/v1/pools/{pool}/rotate",
                "/v1/pools/main/rotate",
                Some(&json!({"burn": ["c.example"]})),
            ),
            (
                "post",
                "/v1/domains/{name}/suspend",
                &format!("{a}/suspend"),
                Some(&json!({"answer": "later", "until": "2030-01-01T00:00:00Z"})),
            ),
            (
                "post",
                "/v1/domains/{name}/hold",
                &format!("{a}/hold"),
                Some(&json!({})),
            ),
            ("get", "/v1/domains/{name}", a, None),
            (
                "get",
                "/v1/domains/{name}/caches",
                &format!("{a}/caches"),
                None,
            ),
            ("get", "/v1/counts", "/v1/counts", None),
            ("get", "/v1/delegations", "/v1/delegations", None),
            (
                "post",
                "/v1/pools/{pool}/handout",
                "/v1/pools/main/handout",
                None,
            ),
            ("post", "/v1/changes", "/v1/changes", Some(&lives)),
            ("post", "/v1/changes", "/v1/changes", Some(&later)),
            ("get", "/v1/changes", "/v1/changes", None),
            ("get", "/v1/changes/{id}", "/v1/changes/1", None),
            (
                "post",
                "/v1/changes/{id}/undo",
                "/v1/changes/1/undo",
                Some(&json!({"dry_run": true})),
            ),
            ("get", "/v1/audit", "/v1/audit", None),
            ("get", "/readyz", "/readyz", None),
            (
                "delete",
                "/v1/domains/{name}",
                "/v1/domains/c.example?force=true",
                None,
            ),
            ("post", "/v1/domains", "/v1/domains", Some(&one)),
            ("post", "/v1/changes", "/v1/changes", Some(&many)),
        ];

        for (method, route, path, body) in asked {
            let answer: Answer = server.call(&method.to_uppercase(), path, body);
            let taken = &document["paths"][route][method]["requestBody"];
            let taken = &taken["content"]["application/json"]["schema"];
            assert_eq!(taken.is_object(), body.is_some(), "{method} {route}");
            if let Some(body) = body.filter(|_| answer.status < 400) {
                let wrong = faults(&document, taken, body, "");
                assert!(wrong.is_empty(), "{method} {route} takes: {wrong:#?}");
            }
            let sent = answered(&document, method, route, answer.status);
            assert!(sent.is_object(), "{method} {route} {}", answer.status);
            let wrong = faults(&document, sent, &answer.json, "");
            assert!(wrong.is_empty(), "{method} {route} sends: {wrong:#?}");
        }
    }

    #[test]
    fn no_post_ignores_a_tag() {
        let server = Server::with_pool();
        let body = json!({"pool": "main", "name": "a.example"});
        server.call("POST", "/v1/domains", Some(&body));
        let posts = routes::all().into_iter();
        let posts = posts.filter(|route| route.about.method == HttpVerb::Post);
        for route in posts {
            let path = route.path.replace("{name}", "a.example");
            let path = path.replace("{pool}", "main").replace("{host}", "mx1@main");
            let path = path.replace("{id}", "1");
            let body = match route.about.request {
                None => Value::Null,
                Some(Shape::AddDomains) => json!({"pool": "main", "name": "b.example"}),
                Some(Shape::Transition) => json!({"to": "active"}),
                Some(Shape::Suspend) => json!({"answer": "later"}),
                Some(Shape::Observed) => json!({"ns": true}),
                Some(Shape::Applied) => json!({"revision": 1}),
                Some(Shape::Deferrals) => json!({"to": "2026-01-01T00:00:00Z"}),
                Some(Shape::Changes) => json!({"changes": [{"op": "hold", "name": "a.example"}]}),
                Some(_) => json!({}),
            };
            let body = if body.is_null() {
                String::new()
            } else {
                body.to_string()
            };
            let send = |tag: &str| {
                let headers = [("content-type", "application/json"), ("if-match", tag)];
                server.send("POST", &path, &headers, &body)
            };

            let stale = send("\"4711\"");
            let malformed = send("4711");

            let is_described = request_headers(&route).contains(&"If-Match");
            let wanted = if is_described { 412 } else { 400 };
            assert_eq!(stale.status, wanted, "{path}: {stale:?}");
            assert_eq!(malformed.status, 400, "{path}: {malformed:?}");
        }
        let domains = server.call("GET", "/v1/domains", None).json;
        assert_eq!(domains["items"].as_array().unwrap().len(), 1);
        let domain = server.call("GET", "/v1/domains/a.example", None).json;
        assert_eq!(domain["hold"], Value::Null);
        assert_eq!(domain["revision"], 2, "nothing was noted of it");
    }

    #[test]
    fn parameters_and_header_fields_are_described_as_they_are() {
        let document: Value = serde_json::from_str(&openapi()).unwrap();
        let paths = &document["paths"];
        let kind = |path: &str, method: &str, name: &str| {
            let parameters = paths[path][method]["parameters"].as_array().unwrap();
            let found = parameters
                .iter()
                .find(|parameter| parameter["name"] == name);
            found.unwrap()["schema"].clone()
        };
        let header = |path: &str, method: &str, status: &str, name: &str| {
            paths[path][method]["responses"][status]["headers"][name].is_object()
        };

        assert_eq!(kind("/v1/domains", "get", "limit")["type"], "integer");
        assert_eq!(kind("/v1/domains", "get", "after")["type"], "string");
        assert_eq!(kind("/v1/audit", "get", "after")["type"], "integer");
        assert_eq!(kind("/v1/zones/{zone}", "get", "signed")["type"], "boolean");
        assert!(header("/v1/domains", "post", "201", "Location"));
        assert!(header("/v1/pools/{pool}", "put", "201", "ETag"));
        assert!(header("/v1/domains/{name}", "get", "200", "ETag"));
        assert!(header("/v1/backup", "get", "200", "mxpool-sealing-key-id"));
    }
}
