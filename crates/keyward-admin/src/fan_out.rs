//! [`FanOut`]: the same listing of each project, several at once.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::task::{Id, JoinSet};

use crate::page::Listed;
use crate::{Client, Error, Page, Pages, Project, ProjectHandle, ProjectId};

/// What is listed of each of several projects: a [`Stream`] of what is found, each with its
/// project. It comes from [`Projects::each`](crate::Projects::each) and
/// [`Projects::each_of`](crate::Projects::each_of).
///
/// - **The order**: what is in one project comes in the server's order; the projects come as their
///   answers do, page by page.
/// - **An error of one project** is told with the project, and the others go on. So is an item
///   that cannot be read, after which the items behind it still come.
/// - **Where the projects themselves cannot be listed** any further, that is an error of no
///   project; those that were listed go on.
/// - **Memory** holds as many pages as may be [in flight](Self::in_flight).
///
/// Requests are sent from when the first item is asked for, on tasks of the tokio runtime, which
/// end with the stream. They pass the client's gate as all others do.
#[must_use = "nothing is fetched before an item is asked for"]
pub struct FanOut<T> {
    client: Client,
    list: Box<dyn Fn(ProjectHandle) -> Pages<T> + Send>,
    source: Source,
    in_flight: usize,
    steps: JoinSet<Stepped<T>>,
    /// What each of the steps is about.
    begun: HashMap<Id, Begun>,
    /// Projects of which another page is to be fetched.
    waiting: VecDeque<(ProjectId, Pages<T>)>,
    ready: VecDeque<(ProjectId, Result<Page<T>, Error>)>,
    /// The page that is being read, the next item last.
    items: Vec<Result<T, Error>>,
    project: Option<ProjectId>,
}

/// Where the projects come from.
enum Source {
    Ids(VecDeque<ProjectId>),
    Listing(Box<Pages<Project>>),
}

type Stepped<T> = (Pages<T>, Option<Result<Page<T>, Error>>);

struct Begun {
    project: ProjectId,
    /// How many steps were under way then.
    among: usize,
}

const IN_FLIGHT: usize = 64;

#[allow(private_bounds, reason = "only what this crate lists can be listed")]
impl<T: Listed> FanOut<T> {
    pub(crate) fn of_listed(
        client: Client,
        projects: Pages<Project>,
        list: impl Fn(ProjectHandle) -> Pages<T> + Send + 'static,
    ) -> Self {
        Self::new(client, Source::Listing(Box::new(projects.prefetch())), list)
    }

    pub(crate) fn of_ids(
        client: Client,
        ids: VecDeque<ProjectId>,
        list: impl Fn(ProjectHandle) -> Pages<T> + Send + 'static,
    ) -> Self {
        Self::new(client, Source::Ids(ids), list)
    }

    fn new(
        client: Client,
        source: Source,
        list: impl Fn(ProjectHandle) -> Pages<T> + Send + 'static,
    ) -> Self {
        Self {
            client,
            list: Box::new(list),
            source,
            in_flight: IN_FLIGHT,
            steps: JoinSet::new(),
            begun: HashMap::new(),
            waiting: VecDeque::new(),
            ready: VecDeque::new(),
            items: Vec::new(),
            project: None,
        }
    }

    /// How many projects are listed at once: 64 unless said otherwise. The client's
    /// [`Pacing`](crate::Pacing) may let through fewer.
    ///
    /// Where a turn at the gate would come too late for so many, the listings go on with half of
    /// them, down to one, before one fails.
    pub fn in_flight(mut self, projects: usize) -> Self {
        self.in_flight = projects.max(1);
        self
    }

    /// The next item and its project; `None` when there are no more.
    pub async fn next(&mut self) -> Option<Result<(ProjectId, T), ProjectError>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Everything of every project.
    ///
    /// # Errors
    ///
    /// The first error there is: what some projects have is not answered as what all have.
    pub async fn all(mut self) -> Result<Vec<(ProjectId, T)>, ProjectError> {
        let mut all = Vec::new();
        while let Some(item) = self.next().await {
            all.push(item?);
        }
        Ok(all)
    }

    fn at_hand(&mut self) -> Option<Result<(ProjectId, T), ProjectError>> {
        loop {
            if let (Some(item), Some(project)) = (self.items.pop(), &self.project) {
                let project = project.clone();
                return Some(match item {
                    Ok(item) => Ok((project, item)),
                    Err(error) => Err(ProjectError { project: Some(project), error }),
                });
            }
            let (project, page) = self.ready.pop_front()?;
            match page {
                Ok(page) => {
                    self.items = page.items;
                    self.items.reverse();
                    self.project = Some(project);
                }
                Err(error) => return Some(Err(ProjectError { project: Some(project), error })),
            }
        }
    }

    /// Takes in what was fetched and asks for more. An error is one of the list of the projects.
    fn work(&mut self, cx: &mut Context<'_>) -> Option<Error> {
        loop {
            while let Poll::Ready(Some(joined)) = self.steps.poll_join_next_with_id(cx) {
                let (step, stepped) = match joined {
                    Ok((step, stepped)) => (step, Some(stepped)),
                    Err(e) if e.is_panic() => std::panic::resume_unwind(e.into_panic()),
                    Err(e) => (e.id(), None),
                };
                if let Some(begun) = self.begun.remove(&step) {
                    self.take_in(begun, stepped);
                }
            }
            let mut started = false;
            while self.steps.len() + self.ready.len() < self.in_flight {
                // Those that were begun first, so that few are open at a time.
                let next = match self.waiting.pop_front() {
                    Some(next) => next,
                    None => match self.source.poll_next(cx) {
                        Poll::Ready(Some(Ok(id))) => {
                            let project = ProjectHandle::new(self.client.clone(), id.clone());
                            (id, (self.list)(project))
                        }
                        Poll::Ready(Some(Err(error))) => return Some(error),
                        Poll::Ready(None) | Poll::Pending => break,
                    },
                };
                let (project, mut pages) = next;
                let step = self.steps.spawn(async move {
                    let page = pages.next_page().await;
                    (pages, page)
                });
                self.begun.insert(step.id(), Begun { project, among: self.steps.len() });
                started = true;
            }
            if !started {
                return None;
            }
        }
    }

    /// Takes in what a step has had, or that its runtime has ended.
    fn take_in(&mut self, Begun { project, among }: Begun, stepped: Option<Stepped<T>>) {
        let Some((mut pages, page)) = stepped else {
            return self.ready.push_back((project, Err(Error::runtime_gone())));
        };
        let among = among.max(self.steps.len() + 1);
        match page {
            // So many at once are too many, if there were others.
            Some(Err(e)) if e.came_too_late() && among > 1 => {
                self.in_flight = self.in_flight.min(among / 2);
                pages.again();
                self.waiting.push_back((project, pages));
            }
            Some(page) => {
                if matches!(&page, Ok(page) if page.has_more) {
                    self.waiting.push_back((project.clone(), pages));
                }
                self.ready.push_back((project, page));
            }
            None => {}
        }
    }
}

impl Source {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ProjectId, Error>>> {
        match self {
            Self::Ids(ids) => Poll::Ready(ids.pop_front().map(Ok)),
            Self::Listing(projects) => {
                let next = Pin::new(&mut **projects).poll_next(cx);
                next.map(|next| next.map(|project| project.map(|project| project.id)))
            }
        }
    }

    /// Whether no more projects will come. Only asked when one was asked for in vain.
    fn is_at_its_end(&self) -> bool {
        match self {
            Self::Ids(ids) => ids.is_empty(),
            Self::Listing(projects) => projects.is_at_its_end(),
        }
    }
}

#[allow(private_bounds, reason = "only what this crate lists can be listed")]
impl<T: Listed> Stream for FanOut<T> {
    type Item = Result<(ProjectId, T), ProjectError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            // Also while there are items at hand, so that requests get on their way.
            if let Some(error) = this.work(cx) {
                return Poll::Ready(Some(Err(ProjectError { project: None, error })));
            }
            let pages = this.ready.len();
            if let Some(item) = this.at_hand() {
                return Poll::Ready(Some(item));
            }
            if pages > 0 {
                // They were empty, so that there is room for others.
                continue;
            }
            let is_done = this.steps.is_empty() && this.source.is_at_its_end();
            return if is_done { Poll::Ready(None) } else { Poll::Pending };
        }
    }
}

impl<T> fmt::Debug for FanOut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FanOut")
            .field("in_flight", &self.in_flight)
            .field("listing", &self.steps.len())
            .finish_non_exhaustive()
    }
}

/// What went wrong with one project of several.
#[derive(Debug)]
pub struct ProjectError {
    project: Option<ProjectId>,
    error: Error,
}

impl ProjectError {
    /// The project; none when it was the list of the projects.
    #[must_use]
    pub fn project(&self) -> Option<&ProjectId> {
        self.project.as_ref()
    }

    /// What went wrong.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// What went wrong, without the project.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.error
    }
}

/// The project stands in it as `Debug` shows it, with a key in its place masked.
impl fmt::Display for ProjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.project {
            // An id that the server listed, whatever is in it: one line, and no key.
            Some(project) => {
                let id = project.as_str().replace(char::is_control, " ");
                write!(f, "{}: {}", crate::wire::plain(&id), self.error)
            }
            None => write!(f, "the list of the projects: {}", self.error),
        }
    }
}

impl std::error::Error for ProjectError {}
