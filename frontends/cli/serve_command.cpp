// gemlet serve. Signals are waited for, not handled: they are blocked in all threads, and this one
// asks for them. The first ends the server gently, the second at once.
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

server::ServiceOptions service_options(const Options& options) {
    server::ServiceOptions service;
    service.model_name = options.alias;
    service.api_key = options.api_key;
    service.cors_origin = options.cors;
    service.strict_model = options.strict_model;
    service.metrics_compat = options.metrics_compat;
    service.scheduling.n_slots = options.slots.value_or(default_slots());
    service.scheduling.queue = options.queue;
    service.speech_slots = options.speech_slots;
    service.pictures = picture_options(options);
    service.pictures.max_budget = kLargestBudget;
    service.sounds = sound_options(options);
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

Failure serve(server::Service& service, server::HttpServer& http, const sigset_t& signals) {
    std::future<Status> serving = std::async(std::launch::async, [&] { return http.serve(); });
    while (!signal_within(signals, std::chrono::milliseconds(500))) {
        if (serving.wait_for(std::chrono::seconds(0)) == std::future_status::ready) {
            return serving.get();
        }
    }
    end_gently(service, signals);
    http.stop();
    // Connections that are kept open without a request would keep the server for their timeout.
    if (serving.wait_for(std::chrono::seconds(1)) != std::future_status::ready) std::_Exit(0);
    return serving.get();
}

}  // namespace

Failure serve_command(const Options& options) {
    const server::ServiceOptions settings = service_options(options);
    EngineOptions engine = engine_options(options);
    engine.parallel = settings.scheduling.n_slots + settings.speech_slots;
    std::string fault_file;
    Result<ChatModel> model = open_chat_model(options.model, engine, fault_file);
    if (!model) return {model.error(), fault_file};
    note_template(model->chat_template);
    const sigset_t signals = ending_signals();
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    Result<std::unique_ptr<server::Service>> service =
        server::Service::create(std::move(*model), settings);
    if (!service) return service.error();

    server::HttpOptions address;
    address.host = options.host;
    address.port = options.port;
    address.max_body_bytes = settings.limits.sound_body_bytes;
    Result<std::unique_ptr<server::HttpServer>> http = server::HttpServer::bind(
        address, server::service_paths(), [&](const server::HttpRequest& request) {
            return server::answer_request(**service, request);
        });
    if (!http) return http.error();
    const bool is_local =
        options.host == "127.0.0.1" || options.host == "localhost" || options.host == "::1";
    if (!is_local && options.api_key.empty()) {
        std::fprintf(stderr,
                     "gemlet: anybody who reaches %s can use this server: there is no "
                     "--api-key\n",
                     options.host.c_str());
    }
    std::fprintf(stderr, "gemlet: %s on http://%s:%d/v1, %zu at a time\n",
                 (*service)->name().c_str(), options.host.c_str(), (*http)->port(),
                 settings.scheduling.n_slots);
    return serve(**service, **http, signals);
}

}  // namespace gemlet
