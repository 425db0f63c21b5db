// gemlet serve. Signals are waited for, not handled: they are blocked in all threads, and this one
// asks for them. The first ends the server gently, the second at once.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <future>
#include <thread>

#include "frontends/cli/commands.h"
#include "frontends/cli/open_model.h"
#include "frontends/cli/template_note.h"
#include "frontends/server/service.h"

namespace gemlet {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds kGrace{5};
constexpr size_t kLargestBudget = 1120;  // soft tokens: `detail: high`

sigset_t ending_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

bool signal_within(const sigset_t& set, std::chrono::milliseconds most) {
    timespec wait = {};
    wait.tv_sec = static_cast<time_t>(most.count() / 1000);
    wait.tv_nsec = static_cast<long>(most.count() % 1000) * 1000000;
    return sigtimedwait(&set, nullptr, &wait) > 0;
}

size_t default_slots() {
    const size_t n_threads = std::thread::hardware_concurrency();
    return n_threads >= 16 ? 4 : n_threads >= 8 ? 2 : 1;
}

bool is_loopback(const std::string& host) {
    return host == "127.0.0.1" || host == "localhost" || host == "::1";
}

server::ServiceOptions service_options(const Options& options) {
    server::ServiceOptions service;
    service.model_name = options.alias;
    service.api_key = options.api_key;
    service.cors_origin = options.cors;
    service.local_names_only = is_loopback(options.host) && options.api_key.empty();
    service.strict_model = options.strict_model;
    service.metrics_compat = options.metrics_compat;
    service.scheduling.n_slots = options.slots.value_or(default_slots());
    service.scheduling.queue = options.queue;
    service.speech_slots = options.speech_slots;
    service.pictures = picture_options(options);
    service.pictures.max_budget = kLargestBudget;
    service.sounds = sound_options(options);
    service.limits.media = options.max_media;
    service.limits.media_path = options.media_path;
    service.limits.messages = options.max_messages;
    service.limits.tools = options.max_tools;
    service.limits.json_depth = options.max_depth;
    service.limits.cut_sounds = options.audio_chunk;
    if (options.max_picture_bytes != 0) service.limits.picture_bytes = options.max_picture_bytes;
    if (options.max_schema_bytes != 0) service.limits.schema_bytes = options.max_schema_bytes;
    service.log = [](const std::string& line) {
        std::fprintf(stderr, "gemlet: %s\n", line.c_str());  // one call: lines stay whole
    };
    service.log_requests = options.log || options.log_prompts;
    service.log_prompts = options.log_prompts;
    service.limits.recording_seconds = 60 * options.max_recording_minutes;
    if (options.max_recording_bytes != 0) {
        constexpr uint64_t kForm = uint64_t{1} << 20U;  // what is around the recording
        service.limits.recording_bytes = options.max_recording_bytes;
        service.limits.sound_body_bytes = options.max_recording_bytes + kForm;
    }
    if (options.max_body_bytes != 0) {
        service.limits.body_bytes = options.max_body_bytes;
        service.limits.sound_body_bytes =
            std::max(service.limits.sound_body_bytes, service.limits.body_bytes);
    }
    return service;
}

/// Finishes what runs while there is time, then breaks it off.
void end_gently(server::Service& service, const sigset_t& signals) {
    service.draining = true;
    const Clock::time_point end = Clock::now() + kGrace;
    const auto is_idle = [&] { return service.scheduler->idle() && service.n_speech_waiting == 0; };
    while (!is_idle() && Clock::now() < end) {
        if (signal_within(signals, std::chrono::milliseconds(20))) std::_Exit(1);
    }
    service.scheduler->stop();
}

struct Opened {
    std::unique_ptr<server::Service> service;
    Failure failure;
};

Opened open_service(const Options& options, const server::ServiceOptions& settings) {
    EngineOptions engine = engine_options(options);
    engine.parallel = settings.scheduling.n_slots + settings.speech_slots;
    std::string fault_file;
    Result<ChatModel> model = open_chat_model(options.model, engine, fault_file);
    if (!model) return {nullptr, {model.error(), fault_file}};
    note_template(model->chat_template);
    Result<std::unique_ptr<server::Service>> service =
        server::Service::create(std::move(*model), settings);
    if (!service) return {nullptr, service.error()};
    return {std::move(*service), Status()};
}

void greet(const Options& options, const server::Service& service, int port) {
    if (!is_loopback(options.host) && options.api_key.empty()) {
        std::fprintf(stderr,
                     "gemlet: anybody who reaches %s can use this server: there is no "
                     "--api-key\n",
                     options.host.c_str());
    }
    const bool is_v6 = options.host.find(':') != std::string::npos;
    std::fprintf(stderr, "gemlet: %s on http://%s%s%s:%d/v1, %zu at a time\n",
                 service.name().c_str(), is_v6 ? "[" : "", options.host.c_str(), is_v6 ? "]" : "",
                 port, service.options.scheduling.n_slots);
}

/// Answers until a signal comes, or the listener fails.
Failure serve(server::Service& service, server::HttpServer& http, std::future<Status>& serving,
              const sigset_t& signals) {
    while (!signal_within(signals, std::chrono::milliseconds(500))) {
        if (serving.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
            return serving.get();
        }
    }
    end_gently(service, signals);
    http.stop();
    // Somebody who sends a request byte by byte would keep the server for the timeout.
    if (serving.wait_for(std::chrono::seconds(1)) != std::future_status::ready) std::_Exit(0);
    return serving.get();
}

}  // namespace

Failure serve_command(const Options& options) {
    const server::ServiceOptions settings = service_options(options);
    const sigset_t signals = ending_signals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    server::HttpOptions address;
    address.host = options.host;
    address.port = options.port;
    address.timeout_s = options.timeout_s;
    address.max_body_bytes = settings.limits.sound_body_bytes;
    std::atomic<server::Service*> ready = nullptr;
    Result<std::unique_ptr<server::HttpServer>> http = server::HttpServer::bind(
        address, server::service_paths(), [&](const server::HttpRequest& request) {
            server::Service* service = ready.load();
            return service == nullptr ? server::answer_while_loading()
                                      : server::answer_request(*service, request);
        });
    if (!http) return http.error();
    // The service outlives the threads that answer.
    std::future<Opened> opening =
        std::async(std::launch::async, [&] { return open_service(options, settings); });
    Opened opened;
    std::future<Status> serving = std::async(std::launch::async, [&] { return (*http)->serve(); });
    while (opening.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
        if (signal_within(signals, std::chrono::milliseconds(1))) std::_Exit(0);
    }
    opened = opening.get();
    if (opened.service == nullptr) {
        (*http)->stop();
        return opened.failure;
    }
    ready = opened.service.get();
    greet(options, *opened.service, (*http)->port());
    // Ready before the first who brings tools; builds without grammars have nothing to prepare.
    const std::future<void> preparing =
        std::async(std::launch::async, [&] { (void)server::grammar_vocabulary(*opened.service); });
    return serve(*opened.service, **http, serving, signals);
}

}  // namespace gemlet
