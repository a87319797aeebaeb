//! The OpenAPI document, made from the list of routes.

use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, InfoBuilder, OpenApiBuilder, PathsBuilder, Ref, Required, ResponseBuilder,
};

use super::routes::{self, HttpVerb, Route};
use super::schema;

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
        operation = operation.parameter(parameter(name, ParameterIn::Path, Required::True));
    }
    for name in about.query {
        operation = operation.parameter(parameter(name, ParameterIn::Query, Required::False));
    }
    if about.method == HttpVerb::Post {
        let key = parameter("Idempotency-Key", ParameterIn::Header, Required::False);
        operation = operation.parameter(key);
    } else if about.method != HttpVerb::Get {
        let tag = parameter("If-Match", ParameterIn::Header, Required::False);
        operation = operation.parameter(tag);
    }
    if let Some(request) = about.request {
        let body = RequestBodyBuilder::new()
            .content(request.media_type(), request.content())
            .required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    let good = ResponseBuilder::new()
        .description("Done")
        .content(about.answer.media_type(), about.answer.content());
    let problem = Content::new(Some(Ref::from_schema_name("Problem")));
    let bad = ResponseBuilder::new()
        .description("Refused; nothing took effect")
        .content("application/problem+json", problem);
    operation = operation
        .response(about.status.to_string(), good.build())
        .response("default", bad.build());
    if route.path.starts_with("/v1/") {
        let needs: [&str; 0] = [];
        operation = operation.security(SecurityRequirement::new(SCHEME, needs));
    }
    operation
}

/// Describes a parameter; all are texts on the wire.
fn parameter(name: &str, place: ParameterIn, required: Required) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .schema(Some(Object::with_type(Type::String)))
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
    let path = route.path.replace(['{', '}'], "").replace(['/', '.'], "_");
    format!("{verb}{path}")
}

/// Groups operations by what they are about.
fn tag(path: &str) -> &str {
    let below = path.strip_prefix("/v1/").unwrap_or("server");
    below.split('/').next().unwrap_or(below)
}
