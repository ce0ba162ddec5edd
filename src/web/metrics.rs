//! Figures for monitoring.

use super::{asked::Asked, runs::Answer};
use crate::{ProcessManager, metrics::CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, http::header, web::Data};

/// Everything that is counted, in the text format of Prometheus.
pub(super) async fn metrics(request: HttpRequest, pm: Data<ProcessManager>) -> Answer {
    Asked::of(&request)?.finish()?;
    let text = pm.metrics().await?;
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, CONTENT_TYPE)).body(text))
}
