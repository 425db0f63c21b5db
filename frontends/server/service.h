// The endpoints over one opened model: requests in, answers out.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/status.h"
#include "frontends/media/message_media.h"
#include "frontends/server/answer/scheduler.h"
#include "frontends/server/api/limits.h"
#include "frontends/server/http/http_server.h"
#include "frontends/server/metrics.h"
#include "frontends/server/timed_lock.h"
#include "frontends/text/chat_model.h"
#include "frontends/text/grammar/grammar.h"
#include "frontends/transcribe/piece_decoder.h"

namespace gemlet::server {

struct ServiceOptions {
    std::string model_name;   // how the model is called; empty: after its file
    std::string api_key;      // empty: none needed
    std::string cors_origin;  // empty: no other site's pages may ask
    /// Pages must ask by a name of this machine. Without it the page of a site whose name is made
    /// to point to 127.0.0.1 could ask as the site's own (DNS rebinding).
    bool local_names_only = false;
    bool strict_model = false;
    bool metrics_compat = false;  // llama-server's names as well
    SchedulerOptions scheduling;
    size_t speech_slots = 1;  // pieces of recordings decoded together
    Limits limits;
    PictureOptions pictures;
    SoundOptions sounds;
    /// Takes a line about a fault of the server, or about every request. Called by many threads.
    std::function<void(const std::string& line)> log;
    bool log_requests = false;
    bool log_prompts = false;  // and what they ask
};

/// What the endpoints share. The engine of the model was opened for as many conversations as both
/// kinds of slots together.
struct Service {
    /// Takes the model. Errors: those of Scheduler::create.
    static Result<std::unique_ptr<Service>> create(ChatModel opened, const ServiceOptions& given);

    ServiceOptions options;
    ChatModel model;
    Metrics metrics;
    int64_t started_s = 0;  // since 1970
    std::unique_ptr<Scheduler> scheduler;
    /// Takes a job, or returns false: the scheduler, or a test's own.
    std::function<bool(std::shared_ptr<AnswerJob>)> submit;
    std::atomic<bool> draining = false;  // shutting down: nothing new is begun

    std::mutex media_mutex;
    MediaEncoder media;  // guarded by media_mutex

    std::mutex grammar_mutex;
    std::shared_ptr<GrammarVocabulary> grammar;  // guarded by grammar_mutex: grammar_vocabulary()

    TimedLock speech_mutex;
    std::unique_ptr<PieceDecoder> speech;  // guarded by speech_mutex; opened with its first use
    std::atomic<size_t> n_speech_waiting = 0;

    const std::string& name() const { return options.model_name; }

  private:
    Service(ChatModel opened, const ServiceOptions& given);
};

/// The vocabulary for grammars, made by the first who asks: 1.5 s of work for the full one.
/// Errors: those of GrammarVocabulary::create.
Result<std::shared_ptr<GrammarVocabulary>> grammar_vocabulary(Service& service);

/// All paths that are answered.
std::vector<std::string> service_paths();
/// Answers while there is no service yet: not now.
HttpResponse answer_while_loading();
/// Answers a request: routing, key, limits, then the endpoint. Counts it.
HttpResponse answer_request(Service& service, const HttpRequest& request);

}  // namespace gemlet::server
