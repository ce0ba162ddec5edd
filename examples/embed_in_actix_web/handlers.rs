//! The routes. They know users, JSON and [`Jobs`], and no process.

use crate::jobs::{Job, Jobs, Refusal};
use actix_process::actors::model::{ParamValue, Params};
use actix_web::{
    FromRequest, HttpRequest, HttpResponse, ResponseError,
    dev::Payload,
    http::{StatusCode, header},
    web,
};
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::future::{Ready, ready};

/// The routes of the service, for `App::configure`.
pub(crate) fn routes<J: Jobs>(jobs: J) -> impl FnOnce(&mut web::ServiceConfig) {
    // The errors of the extractor are ours, so that a client finds JSON whatever it did wrong.
    let body = web::JsonConfig::default()
        .limit(MAX_BODY)
        .error_handler(|error, _| Refusal::Invalid { why: error.to_string(), params: Vec::new() }.into());
    move |app| {
        app.app_data(web::Data::new(jobs))
            .app_data(body)
            .service(web::resource("/jobs").route(web::post().to(start::<J>)))
            .service(
                web::resource("/jobs/{id}")
                    .route(web::get().to(status::<J>))
                    .route(web::delete().to(stop::<J>)),
            )
            .service(web::resource("/jobs/{id}/output").route(web::get().to(output::<J>)));
    }
}

/// Largest body, in bytes: four times the 4 KiB that parameters may have together. Beyond it the start is refused.
const MAX_BODY: usize = 16 << 10;

/// Longest name of a user, in bytes; it is kept with every job and in the journal. Longer ones are nobody's.
const MAX_NAME: usize = 64;

/// Who asks. Yours comes from a session or a token; only this has to change for it.
struct User(String);

impl FromRequest for User {
    type Error = Refusal;
    type Future = Ready<Result<Self, Refusal>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let name = request.headers().get("x-user").and_then(|name| name.to_str().ok()).map(str::trim);
        let name = name.filter(|name| !name.is_empty() && name.len() <= MAX_NAME);
        ready(name.map(|name| Self(name.to_owned())).ok_or(Refusal::Nobody))
    }
}

/// The body of a start.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    kind: String,
    #[serde(default)]
    params: Map<String, Value>,
}

async fn start<J: Jobs>(
    jobs: web::Data<J>,
    user: User,
    wanted: web::Json<Wanted>,
) -> Result<HttpResponse, Refusal> {
    let Wanted { kind, params } = wanted.into_inner();
    let id = jobs.start(&user.0, &kind, values(params)?).await?;
    Ok(answer(StatusCode::ACCEPTED)
        .insert_header((header::LOCATION, format!("/jobs/{id}")))
        .json(json!({"id": id})))
}

async fn status<J: Jobs>(
    jobs: web::Data<J>,
    user: User,
    id: web::Path<String>,
) -> Result<HttpResponse, Refusal> {
    let job = own(&**jobs, &user, &id).await?;
    Ok(answer(StatusCode::OK).json(job))
}

async fn output<J: Jobs>(
    jobs: web::Data<J>,
    user: User,
    id: web::Path<String>,
) -> Result<HttpResponse, Refusal> {
    let job = own(&**jobs, &user, &id).await?;
    let pieces = jobs.output(&job.id).await?;
    // Never as HTML: who writes a script tag into a file name would else run it in the browser of who looks.
    Ok(answer(StatusCode::OK)
        .content_type("text/plain; charset=utf-8")
        .streaming(pieces.map(|piece| piece.map(web::Bytes::from))))
}

async fn stop<J: Jobs>(
    jobs: web::Data<J>,
    user: User,
    id: web::Path<String>,
) -> Result<HttpResponse, Refusal> {
    let job = own(&**jobs, &user, &id).await?;
    let phase = jobs.stop(&job.id).await?;
    Ok(answer(StatusCode::ACCEPTED).json(json!({"id": job.id, "phase": phase})))
}

/// The job, if it is this user's. One of somebody else is as unknown as one that never was.
async fn own<J: Jobs>(jobs: &J, user: &User, id: &str) -> Result<Job, Refusal> {
    let job = jobs.status(id).await?;
    if job.owner.as_deref() == Some(user.0.as_str()) { Ok(job) } else { Err(Refusal::Unknown) }
}

/// Parameters as the supervisor takes them; it knows their kinds and ranges, so these are not looked at here.
fn values(params: Map<String, Value>) -> Result<Params, Refusal> {
    let mut problems = Vec::new();
    let mut values = Params::new();
    for (name, value) in params {
        let value = match value {
            Value::String(text) => ParamValue::from(text),
            Value::Bool(flag) => flag.into(),
            // Text is read as the parameter's own kind: a fraction becomes exactly what was written.
            Value::Number(number) => {
                number.as_i64().map_or_else(|| number.to_string().into(), ParamValue::from)
            }
            Value::Null | Value::Array(_) | Value::Object(_) => {
                problems.push((name, "must be a string, a number or a boolean".to_owned()));
                continue;
            }
        };
        values.insert(name, value);
    }
    if problems.is_empty() {
        return Ok(values);
    }
    Err(Refusal::Invalid { why: "the parameters do not fit".into(), params: problems })
}

/// An answer whose body no browser takes for anything but what it says it is.
fn answer(status: StatusCode) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::build(status);
    answer.insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    answer
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::Nobody => StatusCode::UNAUTHORIZED,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Busy { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Broken(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = answer(self.status_code());
        let mut body = json!({"error": self.to_string()});
        match self {
            Self::Invalid { params, .. } => {
                let params = params.iter().map(|(name, detail)| (name.clone(), json!(detail)));
                body["params"] = Value::Object(params.collect());
            }
            Self::Busy { retry_after_s, .. } => {
                response.insert_header((header::RETRY_AFTER, *retry_after_s));
            }
            Self::Broken(why) => log::error!("a request cannot be answered; why={why}"),
            Self::Unknown | Self::Nobody | Self::Conflict(_) => {}
        }
        response.json(body)
    }
}
