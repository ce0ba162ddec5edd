//! "Why?": gathers what the machine, the journal, Retry and the breakers know, and has it told in sentences.

use super::{
    ManagerActor,
    messages::{RunError, StartError, Why, WhyProgram},
    queries::{JOURNAL_PAGE, read_journal},
};
use crate::{
    breaker::{BreakerStatus, GetBreakers},
    clock,
    explain::{Explanation, Facts, explain},
    model::{JournalRecord, Scope},
    retry,
    store::Store,
};
use actix::{Context, Handler, ResponseFuture};

/// Records looked through for one "why?": some minutes of a very busy manager; an older story is told from there on.
const WHY_RECORDS_MAX: u64 = 100_000;

impl Handler<Why> for ManagerActor {
    type Result = ResponseFuture<Result<Explanation, RunError>>;

    fn handle(&mut self, Why { run }: Why, ctx: &mut Context<Self>) -> Self::Result {
        let effects = self.machine.write_out();
        self.carry_out(effects, ctx);
        let Some(facts) = self.machine.facts(run, clock::now()) else {
            return Box::pin(async move { Err(RunError::Unknown(run)) });
        };
        let told = self.tell(facts, Vec::new());
        Box::pin(async move { Ok(told.await?.0) })
    }
}

impl Handler<WhyProgram> for ManagerActor {
    type Result = ResponseFuture<Result<Explanation, StartError>>;

    fn handle(&mut self, WhyProgram { program: name }: WhyProgram, ctx: &mut Context<Self>) -> Self::Result {
        let effects = self.machine.write_out();
        self.carry_out(effects, ctx);
        let now = clock::now();
        let Some(overview) = self.machine.overview(&name, now) else {
            let known = self.machine.program_names();
            return Box::pin(async move { Err(StartError::UnknownProgram { name, known }) });
        };
        let facts = overview.main_run().and_then(|run| self.machine.facts(run, now));
        let scopes: Vec<_> = overview.gates.iter().map(|gate| gate.scope.clone()).collect();
        let Some(facts) = facts else {
            let breakers = self.breakers(GetBreakers::Of(scopes));
            return Box::pin(async move {
                let breakers = breakers.await?;
                Ok(overview.explain(None, &breakers, clock::now()))
            });
        };
        let told = self.tell(facts, scopes);
        Box::pin(async move {
            let (story, breakers) = told.await?;
            Ok(overview.explain(Some(story), &breakers, clock::now()))
        })
    }
}

impl ManagerActor {
    /// The explanation of a run, and the breakers that gate it, or have these scopes, as they stood.
    fn tell(
        &mut self,
        facts: Facts,
        scopes: Vec<Scope>,
    ) -> impl Future<Output = Result<(Explanation, Vec<BreakerStatus>), RunError>> + use<> {
        let (store, written) = (self.store.clone(), self.written());
        let newest = self.machine.last_seq();
        let forecast = |ask| self.rooms.retry.ask(clock::now(), retry::Ask::Forecast(Box::new(ask)));
        let outlook = facts.forecast.clone().map(forecast);
        let scopes = facts.gates.iter().map(|gate| gate.scope.clone()).chain(scopes).collect();
        let breakers = self.breakers(GetBreakers::Of(scopes));
        async move {
            let _ = written.await; // What is decided and not yet written belongs to the answer.
            let records = records_about(&store, &facts, newest).await.map_err(RunError::Store)?;
            // An explanation without what a room knows reads as if there were nothing to know.
            let outlook = match outlook {
                Some(answer) => match answer.await? {
                    retry::Answer::Foreseen(outlook) => Some(outlook),
                    _ => None, // It answers what it is asked.
                },
                None => None,
            };
            let breakers = breakers.await?;
            let gates = |status: &&BreakerStatus| facts.gates.iter().any(|gate| gate.scope == status.scope);
            let own: Vec<_> = breakers.iter().filter(gates).cloned().collect();
            Ok((explain(&facts, &records, outlook.as_ref(), &own, clock::now()), breakers))
        }
    }
}

/// The records that tell a run's story: its own, those of the scopes that gate it, and those of siblings that changed
/// what they share with it.
async fn records_about(store: &Store, facts: &Facts, newest: u64) -> Result<Vec<JournalRecord>, String> {
    let run = &facts.run;
    let mut after = facts.read_after(newest, WHY_RECORDS_MAX);
    let (mut records, mut seen) = (Vec::new(), 0);
    while seen < WHY_RECORDS_MAX {
        let page = read_journal(store, after, JOURNAL_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        seen += page.len() as u64;
        let over = |record: &JournalRecord| run.ended_at.is_some_and(|end| record.at > end);
        let done = page.iter().any(|record| record.run != Some(run.id) && over(record));
        records.extend(page.into_iter().filter(|record| facts.is_told_by(record)));
        if done {
            break;
        }
    }
    Ok(records)
}
