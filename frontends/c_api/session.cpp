// The life of a session and its single steps.
#include <new>

#include "frontends/c_api/handles.h"

using gemlet::guard;
using gemlet::PrefillHooks;
using gemlet::Result;
using gemlet::SamplerOptions;
using gemlet::Session;
using gemlet::Status;
using gemlet::StatusCode;
using gemlet::c_api::in_session;
using gemlet::c_api::read_sized;
using gemlet::c_api::status_of_code;
using gemlet::c_api::write_sized;

namespace {

gemlet_sampling to_c(const SamplerOptions& options) {
    gemlet_sampling sampling = {};
    sampling.temperature = options.temperature;
    sampling.top_p = options.top_p;
    sampling.min_p = options.min_p;
    sampling.repetition_penalty = options.repetition_penalty;
    sampling.presence_penalty = options.presence_penalty;
    sampling.frequency_penalty = options.frequency_penalty;
    sampling.top_k = options.top_k;
    sampling.seed = options.seed;
    return sampling;
}

SamplerOptions from_c(const gemlet_sampling& sampling) {
    SamplerOptions options;
    options.temperature = sampling.temperature;
    options.top_p = sampling.top_p;
    options.min_p = sampling.min_p;
    options.repetition_penalty = sampling.repetition_penalty;
    options.presence_penalty = sampling.presence_penalty;
    options.frequency_penalty = sampling.frequency_penalty;
    options.top_k = sampling.top_k;
    options.seed = sampling.seed;
    return options;
}

Status append(gemlet_session& self, const int32_t* ids, size_t n_ids) {
    if (ids == nullptr && n_ids > 0) return {StatusCode::bad_argument, "there are no ids"};
    if (n_ids > self.session->context() - self.session->size()) {
        // Said here as well, so that no room is made for a number that cannot be.
        return {StatusCode::context_full, "no room for so many tokens", "context",
                static_cast<int64_t>(self.session->context())};
    }
    self.cancel = false;
    self.generator.reset();
    self.rows.clear();
    for (size_t i = 0; i < n_ids; ++i) self.rows.push_back({ids[i], nullptr});
    PrefillHooks hooks;
    hooks.cancel = &self.cancel;
    return self.session->append(self.rows, hooks);
}

Status no_logits() {
    return {StatusCode::bad_argument, "no token was appended yet that logits could follow"};
}

}  // namespace

gemlet_status gemlet_session_create(gemlet_model* model, gemlet_session** session) {
    if (session == nullptr) return GEMLET_BAD_ARGUMENT;
    *session = new (std::nothrow) gemlet_session;
    if (*session == nullptr) return GEMLET_OUT_OF_MEMORY;
    gemlet_session& self = **session;
    const Status status = guard([&]() -> Status {
        if (model == nullptr || model->chat == nullptr) {
            return {StatusCode::bad_argument, "the model is not open"};
        }
        Result<std::unique_ptr<Session>> made = Session::create(*model->chat->engine);
        GEMLET_TRY(made);
        self.chat = model->chat;
        self.media = model->media;
        self.sampling = self.chat->sampling;
        self.generator.emplace(**made, self.chat->tokenizer);
        self.session = std::move(*made);
        return {};
    });
    if (!status.ok()) self.error.set(status);
    return status_of_code(status.code());
}

void gemlet_session_free(gemlet_session* session) { delete session; }

const char* gemlet_session_error(const gemlet_session* session) {
    return session != nullptr ? session->error.text() : "there is no session handle";
}

gemlet_status gemlet_session_reset(gemlet_session* session) {
    return in_session(session, [](gemlet_session& self) -> Status {
        self.generator.reset();
        if (self.sampler) self.sampler->reset();
        return self.session->truncate(0);
    });
}

void gemlet_session_cancel(gemlet_session* session) {
    if (session != nullptr) session->cancel.store(true, std::memory_order_relaxed);
}

gemlet_status gemlet_session_get_sampling(gemlet_session* session, gemlet_sampling* sampling) {
    return in_session(session, [&](gemlet_session& self) -> Status {
        return write_sized(to_c(self.sampling), sampling);
    });
}

gemlet_status gemlet_session_set_sampling(gemlet_session* session,
                                          const gemlet_sampling* sampling) {
    return in_session(session, [&](gemlet_session& self) -> Status {
        if (sampling == nullptr) return {StatusCode::bad_argument, "there are no settings"};
        gemlet_sampling given = to_c(self.sampling);
        GEMLET_TRY(read_sized(sampling, given));
        const SamplerOptions options = from_c(given);
        GEMLET_TRY(gemlet::check_sampler_options(options));
        self.sampling = options;
        self.sampler.reset();
        return {};
    });
}

gemlet_status gemlet_session_append(gemlet_session* session, const int32_t* ids, size_t n_ids) {
    return in_session(session, [&](gemlet_session& self) { return append(self, ids, n_ids); });
}

gemlet_status gemlet_session_logits(gemlet_session* session, const float** logits,
                                    size_t* n_logits) {
    return in_session(session, [&](gemlet_session& self) -> Status {
        if (logits == nullptr || n_logits == nullptr) {
            return {StatusCode::bad_argument, "an out-parameter is null"};
        }
        const std::span<const float> found = self.session->logits();
        if (found.empty()) return no_logits();
        *logits = found.data();
        *n_logits = found.size();
        return {};
    });
}

gemlet_status gemlet_session_sample(gemlet_session* session, int32_t* id) {
    return in_session(session, [&](gemlet_session& self) -> Status {
        if (id == nullptr) return {StatusCode::bad_argument, "an out-parameter is null"};
        const std::span<const float> logits = self.session->logits();
        if (logits.empty()) return no_logits();
        if (!self.sampler) {
            self.sampler.emplace(logits.size(), self.sampling,
                                 self.chat->tokenizer.vocabulary().suppressed_ids());
        }
        *id = self.sampler->sample(logits);
        self.sampler->accept(*id);
        return {};
    });
}

size_t gemlet_session_size(const gemlet_session* session) {
    return session != nullptr && session->session != nullptr ? session->session->size() : 0;
}

gemlet_status gemlet_session_truncate(gemlet_session* session, size_t size) {
    return in_session(session, [&](gemlet_session& self) -> Status {
        GEMLET_TRY(self.session->truncate(size));
        self.generator.reset();
        return {};
    });
}
