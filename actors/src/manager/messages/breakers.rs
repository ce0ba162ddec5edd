//! Questions about breakers, and an operator's word to one.

use super::NoAnswer;
use crate::{
    breaker::{BreakerStatus, OperatorAct},
    model::Scope,
};
use actix::Message;

/// Every breaker as it stands now, in order of scope.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<Vec<BreakerStatus>, NoAnswer>")]
pub struct GetBreakers;

/// The same in pages: there may be a scope for each of a hundred thousand hosts.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<Vec<BreakerStatus>, NoAnswer>")]
pub struct GetSomeBreakers {
    /// After this scope; nothing: from the first.
    pub after: Option<Scope>,
    /// At most so many.
    pub limit: usize,
}

/// An operator's word to a breaker.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<BreakerStatus, OperateError>")]
pub struct OperateBreaker {
    /// The scope.
    pub scope: Scope,
    /// What to do.
    pub act: OperatorAct,
    /// Who.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// Why an operator's word to a breaker has no effect.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OperateError {
    /// No run has used the scope.
    #[error("there is no breaker `{0}`")]
    Unknown(Scope),
    /// The Breaker has ended.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}
