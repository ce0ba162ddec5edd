//! Which address does what, and what every answer has.

use super::{Access, figures, logs, metrics, problem::Problem, programs, recording, runs};
use crate::ProcessManager;
use actix_process_actors::{clock, model::did_you_mean};
use actix_web::{
    Handler, HttpRequest, HttpResponse, Resource, Responder,
    body::{BoxBody, MessageBody},
    dev::{HttpServiceFactory, ServiceRequest, ServiceResponse},
    guard,
    http::{
        StatusCode,
        header::{self, HeaderName, HeaderValue},
    },
    middleware::{Next, from_fn},
    web::{self, Data},
};
use futures_util::future::LocalBoxFuture;
use std::rc::Rc;

/// Where the API lives.
pub(super) const PREFIX: &str = "/api/v1";

/// In every answer: the supervisor's time, in milliseconds since the Unix epoch.
const TIME: HeaderName = HeaderName::from_static("x-supervisor-time-ms");

/// First parts of the addresses there, for the help of an unknown one.
const ROOMS: [&str; 9] =
    ["info", "metrics", "programs", "runs", "logs", "events", "recording", "breakers", "classes"];

/// `/healthz` and everything under `/api/v1`, to be added to an application with `App::service`. Unknown addresses
/// under `/api/v1` are answered here too.
pub fn service(pm: &ProcessManager, access: Access) -> impl HttpServiceFactory + 'static {
    let health =
        get("/healthz", runs::health).app_data(Data::new(pm.clone())).wrap(from_fn(door(access.clone())));
    let api = web::scope(PREFIX)
        .app_data(Data::new(pm.clone()))
        .configure(api)
        .default_service(web::to(unknown_address))
        .wrap(from_fn(door(access)));
    (health, api)
}

fn api(config: &mut web::ServiceConfig) {
    config
        .service(get("/info", figures::info))
        .service(get("/metrics", metrics::metrics))
        .service(get("/programs", programs::list))
        .service(get("/programs/{program}", programs::one))
        .service(get("/programs/{program}/why", programs::why))
        .service(post("/programs/{program}/runs", programs::run))
        .service(post("/programs/{program}/start", programs::start))
        .service(post("/programs/{program}/stop", programs::stop))
        .service(post("/programs/{program}/restart", programs::restart))
        .service(get("/runs", runs::list))
        .service(get("/runs/{run}", runs::one))
        .service(get("/runs/{run}/why", runs::why))
        .service(get("/runs/{run}/attempts", runs::attempts))
        .service(post("/runs/{run}/stop", runs::stop))
        .service(post("/runs/{run}/start", runs::start))
        .service(post("/runs/{run}/restart", runs::restart))
        .service(post("/runs/{run}/signal", runs::signal))
        .service(post("/runs/{run}/retry", runs::retry))
        .service(get("/logs", logs::logs))
        .service(get("/events", logs::events))
        .service(get("/recording", recording::recording))
        .service(get("/breakers", programs::breakers))
        .service(post(
            "/breakers/{scope}/{act:reset|open|close|disable|metrics_only|auto}",
            programs::operate,
        ))
        .service(get("/classes", programs::classes));
}

fn get<H, A>(path: &str, handler: H) -> Resource
where
    H: Handler<A>,
    A: actix_web::FromRequest + 'static,
    H::Output: Responder + 'static,
{
    let route = web::route().guard(guard::Any(guard::Get()).or(guard::Head())).to(handler);
    web::resource(path).route(route).default_service(web::to(|| wrong_method("GET, HEAD")))
}

fn post<H, A>(path: &str, handler: H) -> Resource
where
    H: Handler<A>,
    A: actix_web::FromRequest + 'static,
    H::Output: Responder + 'static,
{
    web::resource(path).route(web::post().to(handler)).default_service(web::to(|| wrong_method("POST")))
}

async fn wrong_method(allowed: &'static str) -> HttpResponse {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", format!("this address takes {allowed} only"))
        .with_header(header::ALLOW, allowed)
        .response()
}

pub(super) async fn unknown_address(request: HttpRequest) -> HttpResponse {
    let below = request.path().strip_prefix(PREFIX).unwrap_or_default().trim_matches('/');
    let first = below.split('/').next().unwrap_or_default();
    let help = match did_you_mean(first, ROOMS) {
        Some(near) if near != first => format!("did you mean {PREFIX}/{near}?"),
        _ => format!("under {PREFIX} there is {}", ROOMS.join(", ")),
    };
    Problem::new(StatusCode::NOT_FOUND, "unknown_address", format!("there is nothing at {}", request.path()))
        .with_help(help)
        .response()
}

/// Checks who comes in, and gives every answer that goes out the headers that keep browsers from guessing and storing.
pub(super) fn door<B: MessageBody + 'static>(
    access: Access,
) -> impl Fn(ServiceRequest, Next<B>) -> Passage + Clone + 'static {
    let access = Rc::new(access);
    move |request, next| {
        let checked = access.check(request.head());
        Box::pin(async move {
            let mut response = match checked {
                Ok(()) => next.call(request).await?.map_into_boxed_body(),
                Err(problem) => request.into_response(problem.response()),
            };
            let headers = response.headers_mut();
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            // So that who shows ages goes by the clock that the times in the answer are of.
            headers.insert(TIME, HeaderValue::from(clock::shown(clock::now()).0));
            Ok(response)
        })
    }
}

type Passage = LocalBoxFuture<'static, actix_web::Result<ServiceResponse<BoxBody>>>;
