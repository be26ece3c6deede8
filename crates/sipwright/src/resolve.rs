//! DNS questions answered by the application, its futures polled on the driver's own task.

use crate::machine::Machine;
use futures_util::{
    FutureExt, StreamExt,
    future::{AbortHandle, Abortable},
    stream::FuturesUnordered,
};
use sip_resolver::{Answer, LookupError, Question, QuestionId};
use std::{
    collections::VecDeque,
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// Answers single questions to the DNS instead of our own client: a service registry, a database, another DNS library.
///
/// The procedure of RFC 3263, the order of servers, the cache, health and failover stay with us. The future is polled
/// on the driver's task as soon as the question has come: one that is ready costs no task. It may wait for anything,
/// must not block, and is dropped after 10 s: then there was no answer in time.
///
/// ```
/// use sipwright::resolver::{Answer, LookupError, Question, Resolve};
/// use std::time::Duration;
///
/// struct Cluster;
///
/// impl Resolve for Cluster {
///     async fn lookup(&self, question: &Question) -> Result<Answer, LookupError> {
///         if question.name().ends_with(".cluster.internal") {
///             return Ok(Answer::addresses([[10, 0, 0, 7].into()], Duration::from_secs(5)));
///         }
///         Err(LookupError::NoSuchName { ttl: None })
///     }
/// }
///
/// let builder = sipwright::Server::builder().resolver(Cluster);
/// # let _ = builder;
/// ```
pub trait Resolve: Send + Sync + 'static {
    /// Answers one question.
    fn lookup(
        &self,
        question: &Question,
    ) -> impl Future<Output = Result<Answer, LookupError>> + Send;
}

impl<R: Resolve> Resolve for Arc<R> {
    fn lookup(
        &self,
        question: &Question,
    ) -> impl Future<Output = Result<Answer, LookupError>> + Send {
        (**self).lookup(question)
    }
}

/// [`Resolve`] as an object.
pub(crate) trait ErasedResolve: Send + Sync {
    fn lookup(&self, question: Question) -> Looked;
}

type Looked = Pin<Box<dyn Future<Output = Result<Answer, LookupError>> + Send>>;

/// A resolver behind a shared pointer, so that its futures own what they need.
pub(crate) struct Erased<R>(pub(crate) Arc<R>);

impl<R: Resolve> ErasedResolve for Erased<R> {
    fn lookup(&self, question: Question) -> Looked {
        let resolve = Arc::clone(&self.0);
        Box::pin(async move { resolve.lookup(&question).await })
    }
}

/// Questions that wait for the application's answer.
pub(crate) struct Lookups {
    resolve: Arc<dyn ErasedResolve>,
    futures: FuturesUnordered<Open>,
    /// The same in the order in which they came, until they are over
    open: VecDeque<(Instant, QuestionId, AbortHandle)>,
}

type Open = Pin<Box<dyn Future<Output = (QuestionId, Option<Result<Answer, LookupError>>)> + Send>>;

impl Lookups {
    pub(crate) fn new(resolve: Arc<dyn ErasedResolve>) -> Self {
        Self {
            resolve,
            futures: FuturesUnordered::new(),
            open: VecDeque::new(),
        }
    }

    pub(crate) fn start(
        &mut self,
        machine: &mut Machine,
        now: Instant,
        id: QuestionId,
        question: Question,
    ) {
        if self.futures.len() >= QUESTIONS {
            let refusal = Err(LookupError::TooManyQuestions);
            machine.stack.provide_answer(now, id, refusal);
            return;
        }
        let looked = AssertUnwindSafe(self.resolve.lookup(question)).catch_unwind();
        let (abort, registration) = AbortHandle::new_pair();
        let looked = Abortable::new(looked, registration);
        self.open.push_back((now + PATIENCE, id, abort));
        self.futures.push(Box::pin(async move {
            let answer = match looked.await {
                Ok(Ok(answer)) => Some(answer),
                Ok(Err(_panic)) => Some(Err(LookupError::ServerFailure)),
                Err(_aborted) => None,
            };
            (id, answer)
        }));
    }

    /// Polls the futures until none can go on, and ends those whose time is over.
    pub(crate) fn poll(&mut self, machine: &mut Machine, now: Instant, cx: &mut Context<'_>) {
        while let Poll::Ready(Some((id, answer))) = self.futures.poll_next_unpin(cx) {
            self.open.retain(|(_, open, _)| *open != id);
            if let Some(answer) = answer {
                machine.stack.provide_answer(now, id, answer);
            }
        }
        while let Some((until, id, abort)) = self.open.pop_front() {
            if until > now {
                self.open.push_front((until, id, abort));
                break;
            }
            abort.abort();
            let answer = Err(LookupError::TimedOut);
            machine.stack.provide_answer(now, id, answer);
        }
    }
}

/// How many questions may wait.
const QUESTIONS: usize = 1_024;

/// How long a question may wait: less than a lookup as a whole, so that what failed is told.
const PATIENCE: Duration = Duration::from_secs(10);
