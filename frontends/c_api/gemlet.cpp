// The parts of gemlet.h that concern no session. A model handle is written to while it is opened
// and never again, so these functions need no lock; they say what went wrong by their status alone.
#include "frontends/c_api/gemlet.h"

#include <algorithm>
#include <array>
#include <new>
#include <optional>

#include "frontends/c_api/handles.h"
#include "frontends/text/tokenizer/detokenizer.h"
#include "kernels/isa.h"

using gemlet::ChatModel;
using gemlet::EngineOptions;
using gemlet::guard;
using gemlet::KvType;
using gemlet::Result;
using gemlet::Status;
using gemlet::StatusCode;
using gemlet::Vocabulary;
using gemlet::c_api::read_sized;
using gemlet::c_api::status_of_code;
using gemlet::c_api::write_sized;

namespace {

Status read_kv_type(const gemlet_model_options& given, std::optional<KvType>& type) {
    // C lets anything be written to an enumeration; C++ must not even load it as one.
    int value = 0;
    static_assert(sizeof(value) == sizeof(given.kv_type));
    std::memcpy(&value, &given.kv_type, sizeof(value));
    switch (value) {
        case GEMLET_KV_DEFAULT:
            type = std::nullopt;
            return {};
        case GEMLET_KV_F16:
            type = KvType::f16;
            return {};
        case GEMLET_KV_F32:
            type = KvType::f32;
            return {};
        case GEMLET_KV_INT8:
            type = KvType::i8;
            return {};
        default:
            return {StatusCode::bad_argument, "no such type", "kv_type", value};
    }
}

Status read_options(const gemlet_model_options& given, EngineOptions& options) {
    GEMLET_TRY(read_kv_type(given, options.kv_type));
    options.n_threads = given.n_threads;
    options.context = given.context;
    options.memory_limit_bytes = given.memory_limit_bytes;
    if (given.isa != nullptr) {
        options.isa_cap = gemlet::isa_from_name({given.isa, given.isa_bytes});
        if (!options.isa_cap) {
            return {StatusCode::bad_argument, "no such instruction set", "isa"};
        }
    }
    return {};
}

Status read_picture_options(const gemlet_model_options& given, gemlet::PictureOptions& options) {
    if (given.mmproj != nullptr) options.mmproj = std::string(given.mmproj, given.mmproj_bytes);
    const auto read = [](size_t from, const char* name, size_t& budget) -> Status {
        if (from == 0) return {};
        constexpr std::array<size_t, 5> kBudgets = {70, 140, 280, 560, 1120};
        if (std::find(kBudgets.begin(), kBudgets.end(), from) == kBudgets.end()) {
            return {StatusCode::bad_argument, "must be 70, 140, 280, 560 or 1120", name};
        }
        budget = from;
        return {};
    };
    GEMLET_TRY(read(given.picture_budget, "picture_budget", options.budget));
    return read(given.frame_budget, "frame_budget", options.frame_budget);
}

Status open(std::string_view path, const gemlet_model_options* from, gemlet_model& model,
            std::string& fault_file) {
    gemlet_model_options given = {};
    GEMLET_TRY(read_sized(from, given));
    EngineOptions options;
    GEMLET_TRY(read_options(given, options));
    gemlet::PictureOptions pictures;
    GEMLET_TRY(read_picture_options(given, pictures));
    if (path.empty()) return {StatusCode::bad_argument, "the path is empty"};
    Result<ChatModel> opened = gemlet::open_chat_model(std::string(path), options, fault_file);
    GEMLET_TRY(opened);
    model.chat = std::make_shared<ChatModel>(std::move(*opened));
    gemlet::SoundOptions sounds;
    sounds.mmproj = pictures.mmproj;
    model.media = std::make_shared<gemlet::c_api::SharedEncoder>(model.chat, std::move(pictures),
                                                                 std::move(sounds));
    return {};
}

bool is_open(const gemlet_model* model) { return model != nullptr && model->chat != nullptr; }

// Copies all or nothing to the caller's buffer.
template <class T>
gemlet_status hand_out(const T* from, size_t n, T* to, size_t capacity, size_t* n_out) {
    *n_out = n;
    if (to == nullptr && capacity == 0) return GEMLET_OK;  // a question for the number
    if (n > capacity) return GEMLET_TOO_SMALL;
    if (n > 0) std::memcpy(to, from, n * sizeof(T));
    return GEMLET_OK;
}

}  // namespace

const char* gemlet_version() { return GEMLET_VERSION_TEXT; }

const char* gemlet_status_text(gemlet_status status) {
    switch (status) {
        case GEMLET_OK:
            return "ok";
        case GEMLET_NOT_FOUND:
            return "not found";
        case GEMLET_IO:
            return "refused by the operating system";
        case GEMLET_CORRUPT:
            return "damaged file";
        case GEMLET_UNSUPPORTED:
            return "not supported";
        case GEMLET_BAD_ARGUMENT:
            return "bad argument";
        case GEMLET_CONTEXT_FULL:
            return "the context is full";
        case GEMLET_OUT_OF_MEMORY:
            return "not enough memory";
        case GEMLET_CANCELLED:
            return "cancelled";
        case GEMLET_TOO_SMALL:
            return "the buffer is too small";
    }
    return "unknown status";
}

gemlet_status gemlet_model_open(const char* path, size_t path_bytes,
                                const gemlet_model_options* options, gemlet_model** model) {
    if (model == nullptr) return GEMLET_BAD_ARGUMENT;
    *model = new (std::nothrow) gemlet_model;
    if (*model == nullptr) return GEMLET_OUT_OF_MEMORY;
    std::string fault_file;
    const std::string_view where(path != nullptr ? path : "", path != nullptr ? path_bytes : 0);
    const Status status = guard([&] { return open(where, options, **model, fault_file); });
    if (!status.ok()) (*model)->error.set(status, fault_file);
    return status_of_code(status.code());
}

void gemlet_model_close(gemlet_model* model) { delete model; }

const char* gemlet_model_error(const gemlet_model* model) {
    return model != nullptr ? model->error.text() : "there is no model handle";
}

gemlet_status gemlet_model_facts(const gemlet_model* model, gemlet_facts* facts) {
    if (!is_open(model)) return GEMLET_BAD_ARGUMENT;
    const Status status = guard([&]() -> Status {
        const gemlet::Engine& engine = *model->chat->engine;
        const gemlet::EngineFacts known = engine.facts();
        gemlet_facts filled = {};
        filled.n_threads = known.n_threads;
        filled.context = engine.options().context;
        filled.vocab_size = engine.config().vocab_size;
        filled.bos = model->chat->tokenizer.vocabulary().bos();
        filled.isa = gemlet::isa_name(known.isa);
        filled.memory_bytes = engine.memory().resident_bytes;
        return write_sized(filled, facts);
    });
    return status_of_code(status.code());
}

gemlet_status gemlet_tokenize(const gemlet_model* model, const char* text, size_t text_bytes,
                              int parse_special, int32_t* ids, size_t capacity, size_t* n_ids) {
    if (!is_open(model) || n_ids == nullptr || (text == nullptr && text_bytes > 0)) {
        return GEMLET_BAD_ARGUMENT;
    }
    gemlet_status said = GEMLET_OK;
    const Status status = guard([&]() -> Status {
        const std::vector<int32_t> made =
            model->chat->tokenizer.encode({text, text_bytes}, parse_special != 0);
        said = hand_out(made.data(), made.size(), ids, capacity, n_ids);
        return {};
    });
    return status.ok() ? said : status_of_code(status.code());
}

gemlet_status gemlet_detokenize(const gemlet_model* model, const int32_t* ids, size_t n_ids,
                                int skip_special, char* text, size_t capacity, size_t* text_bytes) {
    if (!is_open(model) || text_bytes == nullptr || (ids == nullptr && n_ids > 0)) {
        return GEMLET_BAD_ARGUMENT;
    }
    gemlet_status said = GEMLET_OK;
    const Status status = guard([&]() -> Status {
        const Result<std::string> made = gemlet::detokenize(model->chat->tokenizer.vocabulary(),
                                                            {ids, n_ids}, skip_special != 0);
        GEMLET_TRY(made);
        said = hand_out(made->data(), made->size(), text, capacity, text_bytes);
        return {};
    });
    return status.ok() ? said : status_of_code(status.code());
}

gemlet_status gemlet_token_bytes(const gemlet_model* model, int32_t id, const char** bytes,
                                 size_t* n_bytes) {
    if (!is_open(model) || bytes == nullptr || n_bytes == nullptr) return GEMLET_BAD_ARGUMENT;
    const Vocabulary& vocabulary = model->chat->tokenizer.vocabulary();
    if (!vocabulary.contains(id)) return GEMLET_BAD_ARGUMENT;
    const std::string_view found = vocabulary.bytes(id);
    *bytes = found.data();
    *n_bytes = found.size();
    return GEMLET_OK;
}

int gemlet_token_is_stop(const gemlet_model* model, int32_t id) {
    return is_open(model) && model->chat->tokenizer.is_stop(id) ? 1 : 0;
}
