// What the server is and what it does.
#include <algorithm>

#include "frontends/server/api/json_fields.h"
#include "frontends/server/endpoints.h"
#include "frontends/server/page/page.h"
#include "frontends/text/chat/specials.h"

namespace gemlet::server {
namespace {

Json number(size_t n) { return Json::of_integer(static_cast<int64_t>(n)); }

/// A directory's configuration says it; a GGUF model's encoders are in a file beside it.
Json modalities(const Service& service) {
    const Checkpoint& checkpoint = service.model.engine->checkpoint();
    bool has_file = !service.options.pictures.mmproj.empty();
    if (checkpoint.is_gguf() && !has_file) {
        const Result<std::string> found = find_mmproj(checkpoint.path());
        has_file = found.has_value() && !found->empty();
    }
    const auto takes = [&](std::string_view placeholder, const char* section) {
        if (service.model.tokenizer.id_of(placeholder) == kNoToken) return false;
        if (checkpoint.is_gguf()) return has_file;
        const Json* config = checkpoint.config_json().find(section);
        return config != nullptr && config->is_object();
    };
    Json out = Json::object();
    out.set("vision", Json::of_bool(takes(chat::kImage, "vision_config")))
        .set("audio", Json::of_bool(takes(chat::kAudio, "audio_config")));
    return out;
}

/// Elements of all tensors, as the files shape them.
size_t n_parameters(const Checkpoint& checkpoint) {
    size_t n = 0;
    for (const TensorView& tensor : checkpoint.tensors()) n += tensor.n_elements();
    return n;
}

Json slots_json(const Service& service) {
    Json slots = Json::array();
    for (const SlotView& view : service.scheduler->slots()) {
        Json slot = Json::object();
        slot.set("id", number(slots.items.size()))
            .set("is_processing", Json::of_bool(view.busy))
            .set("n_ctx", number(service.model.engine->options().context))
            .set("n_past", number(view.n_known))
            .set("n_prompt_tokens", number(view.n_prompt))
            .set("n_decoded", number(view.n_decoded));
        slots.items.push_back(std::move(slot));
    }
    return slots;
}

}  // namespace

HttpResponse get_page(Service& /*service*/, const HttpRequest& /*request*/) {
    HttpResponse response;
    response.type = "text/html; charset=utf-8";
    // Nothing but this server can be asked, whatever a model's answer would like the page to do.
    response.headers.emplace_back(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
        "media-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'");
    response.headers.emplace_back("X-Content-Type-Options", "nosniff");
    response.body = page_html();
    return response;
}

HttpResponse get_health(Service& service, const HttpRequest& /*request*/) {
    if (service.draining) return error_response(unavailable("shutting down"));
    Json json = Json::object();
    json.set("status", Json::of("ok"));
    return json_response(json);
}

HttpResponse get_models(Service& service, const HttpRequest& /*request*/) {
    const Engine& engine = *service.model.engine;
    Json meta = Json::object();
    meta.set("n_vocab", number(engine.config().vocab_size))
        .set("n_ctx", number(engine.options().context))
        .set("n_ctx_train", number(engine.config().context_length))
        .set("n_embd", number(engine.config().d_model))
        .set("n_params", number(n_parameters(engine.checkpoint())))
        .set("size", number(engine.checkpoint().mapped_bytes()))
        .set("modalities", modalities(service));
    Json model = Json::object();
    model.set("id", Json::of(service.name()))
        .set("object", Json::of("model"))
        .set("created", Json::of_integer(service.started_s))
        .set("owned_by", Json::of("gemlet"))
        .set("meta", std::move(meta));
    Json list = Json::array();
    list.items.push_back(std::move(model));
    Json json = Json::object();
    json.set("object", Json::of("list")).set("data", std::move(list));
    return json_response(json);
}

HttpResponse get_props(Service& service, const HttpRequest& /*request*/) {
    const SamplerOptions& sampling = service.model.sampling;
    const auto real = [](float value) { return Json::of_number(static_cast<double>(value)); };
    Json params = Json::object();
    params.set("temperature", real(sampling.temperature))
        .set("top_k", number(sampling.top_k))
        .set("top_p", real(sampling.top_p))
        .set("min_p", real(sampling.min_p));
    Json defaults = Json::object();
    defaults.set("params", std::move(params))
        .set("n_ctx", number(service.model.engine->options().context));
    Json json = Json::object();
    json.set("default_generation_settings", std::move(defaults))
        .set("total_slots", number(service.options.scheduling.n_slots))
        .set("n_ctx", number(service.model.engine->options().context))
        .set("model_path", Json::of(service.name()))
        .set("chat_template", Json::of(chat::template_kind_name(service.model.chat_template.kind)))
        .set("modalities", modalities(service))
        .set("build_info", Json::of("gemlet 0.1.0"));
    return json_response(json);
}

HttpResponse get_slots(Service& service, const HttpRequest& /*request*/) {
    return json_response(slots_json(service));
}

HttpResponse get_metrics(Service& service, const HttpRequest& /*request*/) {
    Gauges gauges;
    for (const SlotView& view : service.scheduler->slots()) {
        ++gauges.slots;
        gauges.slots_busy += view.busy ? 1 : 0;
        gauges.context_used += view.n_known;
    }
    gauges.queued = service.scheduler->n_queued();
    gauges.recordings = service.n_speech_waiting;
    gauges.resident_bytes = resident_bytes_now();
    HttpResponse response;
    response.type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = service.metrics.text(gauges, service.options.metrics_compat);
    return response;
}

HttpResponse post_embeddings(Service& /*service*/, const HttpRequest& /*request*/) {
    return error_response(not_supported("this server makes no embeddings"));
}

}  // namespace gemlet::server
