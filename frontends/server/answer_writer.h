// From jobs to the bytes of answers, while somebody watches whether the client is still there.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "frontends/server/answer/answer_job.h"
#include "frontends/server/api/chat_request.h"
#include "frontends/server/completion_json.h"
#include "frontends/server/http/http_server.h"

namespace gemlet::server {

/// A job that somebody waits for: when the last who does is gone, it is cancelled.
class WantedJob {
  public:
    explicit WantedJob(std::shared_ptr<AnswerJob> job) : job_(std::move(job)) {}
    ~WantedJob() { job_->cancel(); }
    WantedJob(const WantedJob&) = delete;
    WantedJob& operator=(const WantedJob&) = delete;

    AnswerJob& operator*() const { return *job_; }
    AnswerJob* operator->() const { return job_.get(); }

  private:
    std::shared_ptr<AnswerJob> job_;
};

using WantedJobs = std::vector<std::shared_ptr<WantedJob>>;

/// What an answer should look like.
struct AnswerStyle {
    AnswerHead head;
    bool stream = false;
    bool include_usage = false;
    ReasoningFormat reasoning = ReasoningFormat::separate;
    size_t n = 1;                            // answers to a prompt: so many jobs in a row
    const Vocabulary* vocabulary = nullptr;  // not null: report log probabilities
};

/// The answer to a chat, a choice from each job. One that is not streamed is waited for here, until
/// it is complete or the client is gone.
HttpResponse chat_response(AnswerStyle style, WantedJobs jobs, const HttpRequest& http);
/// The answer to plain prompts, in the same way.
HttpResponse text_response(AnswerStyle style, WantedJobs jobs, const HttpRequest& http);
/// An answer in events, which `stream` writes.
HttpResponse event_response(std::function<bool(HttpSink& sink)> stream);

}  // namespace gemlet::server
