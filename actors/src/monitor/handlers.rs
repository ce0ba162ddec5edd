//! How the Monitor handles its messages.

use super::{
    actor::MonitorActor,
    attempt::Watched,
    goal::{Follower, Goal, Wait},
    messages::{
        Close, Drain, Drained, Flush, GetRules, LastOutput, Lose, Query, QueryError, RuleInfo, Watch,
    },
    query,
};
use crate::{
    clock,
    model::{Direction, Page},
};
use actix::{Context, Handler, MessageResult, ResponseFuture};
use tokio::sync::oneshot;

/// How long a question waits for output that is written faster than it can be taken in, in milliseconds. Then it is
/// answered with what is there, and the answer says so.
const QUESTION_MS: u64 = 2_000;

impl Handler<Watch> for MonitorActor {
    type Result = ();

    fn handle(&mut self, watch: Watch, ctx: &mut Context<Self>) {
        let attempt = watch.attempt;
        if !self.watched.contains_key(&attempt) {
            self.tokens.insert(watch.spool.token, attempt);
            let watched = Watched::new(watch, &mut self.rules, &self.output, clock::now());
            self.watched.insert(attempt, Box::new(watched));
        }
        self.mark(attempt);
        self.pump(ctx);
    }
}

impl Handler<Drain> for MonitorActor {
    type Result = ResponseFuture<Drained>;

    fn handle(&mut self, drain: Drain, ctx: &mut Context<Self>) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        let deadline = Some(clock::now().plus(Drain::LIMIT_MS));
        let wait = Wait::Drain { attempt: drain.attempt, exit: drain.exit, more: drain.more, reply };
        self.goals.push(Goal::read(vec![(drain.attempt, drain.up_to)], deadline, wait));
        if self.goals.last().is_some_and(|goal| goal.missing(&self.watched).next().is_none()) {
            self.settle(ctx);
        } else {
            self.mark(drain.attempt);
            self.pump(ctx);
        }
        // The answer is dropped when the actor ends before the output was read.
        Box::pin(async move { answer.await.unwrap_or_else(|_| Drained::unread()) })
    }
}

impl Handler<Lose> for MonitorActor {
    type Result = ();

    fn handle(&mut self, lose: Lose, ctx: &mut Context<Self>) {
        if let Some(watched) = self.watched.get_mut(&lose.attempt) {
            watched.lose(&lose);
            self.mark(lose.attempt);
            self.pump(ctx);
        }
    }
}

impl Handler<Close> for MonitorActor {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, close: Close, ctx: &mut Context<Self>) -> Self::Result {
        let (reply, answer) = oneshot::channel();
        if let Some(watched) = self.watched.get_mut(&close.attempt) {
            watched.closing = Some(close.sizes);
            self.goals.push(Goal::stored(close.attempt, Wait::Close { attempt: close.attempt, reply }));
            self.mark(close.attempt);
            self.pump(ctx);
        } else {
            let _ = reply.send(()); // What is not watched has nothing to close.
        }
        Box::pin(async move { answer.await.is_ok() })
    }
}

impl Handler<Query> for MonitorActor {
    type Result = ResponseFuture<Result<Page, QueryError>>;

    fn handle(&mut self, Query { query, wait_ms }: Query, ctx: &mut Context<Self>) -> Self::Result {
        let grep = match query::pattern(&query) {
            Ok(grep) => grep,
            Err(error) => return Box::pin(std::future::ready(Err(error))),
        };
        let (reply, answer) = oneshot::channel();
        let now = clock::now();
        let about = self.about(&query);
        let targets = about
            .into_iter()
            .filter_map(|id| Some((id, query::fills_page(&query, id, self.watched.get_mut(&id)?.sizes()))))
            .collect::<Vec<_>>();
        let waits = wait_ms > 0 && query.direction == Direction::Forward;
        let deadline = if waits { now.plus(wait_ms) } else { now };
        let follower = Follower {
            query,
            grep,
            deadline,
            waits,
            due: false,
            behind: false,
            newest_at_start: self.number,
            reply,
        };
        let goal = Goal::read(targets, Some(now.plus(QUESTION_MS)), Wait::Query(Box::new(follower)));
        let behind: Vec<_> = goal.missing(&self.watched).collect();
        self.goals.push(goal);
        behind.iter().for_each(|attempt| self.mark(*attempt));
        if behind.is_empty() {
            self.settle(ctx);
        } else {
            self.pump(ctx);
        }
        Box::pin(async move {
            answer.await.unwrap_or_else(|_| Err(QueryError::Store("the question was dropped".to_owned())))
        })
    }
}

impl Handler<LastOutput> for MonitorActor {
    type Result = MessageResult<LastOutput>;

    fn handle(&mut self, LastOutput { attempt }: LastOutput, ctx: &mut Context<Self>) -> Self::Result {
        if self.watched.get_mut(&attempt).is_some_and(|watched| watched.behind()) {
            self.mark(attempt);
            self.pump(ctx);
        }
        MessageResult(self.watched.get(&attempt).map(|watched| watched.last_output))
    }
}

impl Handler<GetRules> for MonitorActor {
    type Result = MessageResult<GetRules>;

    fn handle(&mut self, GetRules { program }: GetRules, _: &mut Context<Self>) -> Self::Result {
        let rules = self.rules.of(&program);
        let info = rules.list().iter().map(|rule| RuleInfo {
            name: rule.name.to_string(),
            class: rule.class.to_string(),
            matches: rule.shown(),
            weight_permille: program.class_rule(&rule.class).weight_permille,
        });
        MessageResult(info.collect())
    }
}

impl Handler<Flush> for MonitorActor {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, _: Flush, ctx: &mut Context<Self>) -> Self::Result {
        let all: Vec<_> = self.watched.keys().copied().collect();
        for attempt in &all {
            self.ingest(*attempt, ctx);
            if let Some(watched) = self.watched.get_mut(attempt) {
                watched.seal();
            }
            self.send(*attempt, ctx);
        }
        let (reply, answer) = oneshot::channel();
        self.output.flush(move |stored| {
            let _ = reply.send(stored); // The asker may be gone.
        });
        self.settle(ctx);
        // The answer is dropped when the writer ends before it came to it.
        Box::pin(async move { answer.await.unwrap_or(false) })
    }
}
