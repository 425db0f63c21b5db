// gemlet inspect: what a model is, what it will take, and how it will be computed. Maps the file
// and reads its directory; no weights are loaded.
#include <array>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>

#include "core/audio/audio_encoder.h"
#include "core/vision/vision_encoder.h"
#include "frontends/cli/commands.h"
#include "frontends/cli/open_model.h"
#include "quant/formats/weight_type.h"

namespace gemlet {
namespace {

/// "1.53 GB", with decimal units as file sizes are given.
std::string readable(uint64_t bytes) {
    constexpr std::array<const char*, 4> kUnits = {"B", "kB", "MB", "GB"};
    double value = static_cast<double>(bytes);
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < kUnits.size()) {
        value /= 1000;
        ++unit;
    }
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.2f %s", value, kUnits[unit]);
    return text.data();
}

Json architecture(const ModelConfig& config) {
    size_t n_global = 0;
    for (const LayerConfig& layer : config.layers) n_global += layer.is_global ? 1 : 0;
    const auto count = [](size_t n) { return Json::of_integer(static_cast<int64_t>(n)); };
    Json out = Json::object();
    out.set("model", Json::of(config.name)).set("origin", Json::of(config.origin));
    out.set("layers", count(config.n_layers)).set("global_layers", count(n_global));
    out.set("layers_that_write_kv", count(config.n_owning_layers));
    out.set("hidden_size", count(config.d_model)).set("query_heads", count(config.n_heads));
    out.set("kv_heads", count(config.layers[0].n_kv_heads));
    out.set("feed_forward", count(config.max_ffn_width()));
    out.set("per_layer_embedding", count(config.ple_width));
    out.set("experts", count(config.n_experts)).set("experts_used", count(config.n_experts_used));
    out.set("vocabulary", count(config.vocab_size)).set("sliding_window", count(config.window));
    out.set("context_length", count(config.context_length));
    return out;
}

/// Tensors of the file by type: {"q4_0": {"tensors": 205, "bytes": ..}, ..}.
Json weight_types(const Checkpoint& checkpoint) {
    struct Sum {
        int64_t tensors = 0;
        int64_t bytes = 0;
    };
    std::map<std::string, Sum> sums;
    for (const TensorView& tensor : checkpoint.tensors()) {
        const char* name = "integers";
        if (tensor.raw == RawType::weight) name = weight_type_info(tensor.type).name;
        Sum& sum = sums[name];
        ++sum.tensors;
        sum.bytes += static_cast<int64_t>(tensor.bytes.size());
    }
    Json out = Json::object();
    for (const auto& [name, sum] : sums) {
        Json entry = Json::object();
        entry.set("tensors", Json::of_integer(sum.tensors));
        entry.set("bytes", Json::of_integer(sum.bytes));
        out.set(name, std::move(entry));
    }
    return out;
}

Json memory_plan(const MemoryReport& report) {
    Json lines = Json::array();
    for (const MemoryLine& line : report.lines) {
        Json entry = Json::object();
        entry.set("name", Json::of(line.name));
        entry.set("bytes", Json::of_integer(static_cast<int64_t>(line.bytes)));
        entry.set("resident", Json::of_bool(line.resident));
        lines.items.push_back(std::move(entry));
    }
    Json out = Json::object();
    out.set("resident_bytes", Json::of_integer(static_cast<int64_t>(report.resident_bytes)));
    out.set("lines", std::move(lines));
    return out;
}

/// The encoders of a model, as far as it has any.
struct Towers {
    std::optional<VisionPlan> vision;
    std::optional<MemoryReport> audio;
};

/// Keeps what was planned; a tower that is not there is a fault only where `required`.
template <class Plan>
Status keep(Result<Plan> planned, bool required, std::optional<Plan>& out) {
    if (planned) out = std::move(*planned);
    const bool is_missing = planned.error().code() == StatusCode::not_found && !required;
    return is_missing ? Status() : planned.error();
}

Result<Towers> plan_towers(const ModelPlan& plan, const Options& options, std::string& fault_file) {
    std::string mmproj = options.mmproj;
    if (mmproj.empty()) {
        fault_file.clear();
        Result<std::string> found = find_mmproj(plan.checkpoint.path());
        GEMLET_TRY(found);
        mmproj = std::move(*found);
    }
    Towers towers;
    const VisionOptions vision = vision_options(picture_options(options));
    GEMLET_TRY(keep(plan_vision(plan, mmproj, vision, &fault_file), false, towers.vision));
    AudioOptions audio;
    audio.precision = sound_options(options).precision;
    const bool needs_one = !options.mmproj.empty() && !towers.vision;
    GEMLET_TRY(keep(plan_audio(plan, mmproj, audio, &fault_file), needs_one, towers.audio));
    return towers;
}

Json vision_facts(const VisionPlan& vision, const Options& options) {
    const VisionConfig& config = vision.config;
    const auto count = [](size_t n) { return Json::of_integer(static_cast<int64_t>(n)); };
    Json out = Json::object();
    const bool is_transformer = config.kind == VisionKind::transformer;
    out.set("design", Json::of(is_transformer ? "transformer" : "embedder"));
    out.set("layers", count(config.n_layers)).set("hidden_size", count(config.width));
    out.set("heads", count(config.n_heads)).set("feed_forward", count(config.ffn_width));
    out.set("patch_side", count(config.patch_side)).set("pooling", count(config.pooling));
    out.set("budget", count(options.budget)).set("frame_budget", count(options.frame_budget));
    return out;
}

/// "name   value" for every member that says something.
void print_members(const Json& object) {
    for (const Json::Member& member : object.members) {
        const Json& value = member.second;
        if (value.is_object() || value.text == "0") continue;
        std::printf("%-22s %s\n", member.first.c_str(), value.text.c_str());
    }
}

void print_lines(const MemoryReport& report, bool resident) {
    for (const MemoryLine& line : report.lines) {
        if (line.resident != resident) continue;
        std::printf("  %-34s %10s\n", line.name.c_str(), readable(line.bytes).c_str());
    }
}

void print_limit(const ModelPlan& plan, uint64_t with_towers, uint64_t limit) {
    const std::string shown = readable(limit);
    if (plan.memory.resident_bytes <= limit) {
        std::printf("fits the limit of %s%s\n", shown.c_str(),
                    with_towers <= limit ? "" : ", but not with all of its encoders");
    } else if (plan.memory.largest_context != 0) {
        std::printf("exceeds the limit of %s; --context %zu would fit\n", shown.c_str(),
                    plan.memory.largest_context);
    } else {
        std::printf("exceeds the limit of %s with any context\n", shown.c_str());
    }
}

void print_memory(const ModelPlan& plan, const Towers& towers, const Options& options) {
    std::printf("\nmemory with a context of %zu positions, %zu threads\n", plan.options.context,
                plan.options.n_threads);
    print_lines(plan.memory, true);
    uint64_t resident = plan.memory.resident_bytes;
    const auto print_total = [&] {
        std::printf("  %-34s %10s\n", "resident at most", readable(resident).c_str());
    };
    print_total();
    const auto print_tower = [&](const char* title, const MemoryReport& memory) {
        std::printf("%s\n", title);
        print_lines(memory, true);
        resident += memory.resident_bytes;
        print_total();
    };
    if (towers.vision) print_tower("from the first picture or video on", towers.vision->memory);
    if (towers.audio) print_tower("from the first sound on", *towers.audio);
    std::printf("mapped, read as needed\n");
    print_lines(plan.memory, false);
    if (towers.vision) print_lines(towers.vision->memory, false);
    if (towers.audio) print_lines(*towers.audio, false);
    if (options.memory_bytes != 0) print_limit(plan, resident, options.memory_bytes);
}

void print_readable(const Json& document, const ModelPlan& plan, const Towers& towers,
                    const Options& options) {
    print_members(*document.find("architecture"));
    if (const Json* vision = document.find("vision")) {
        std::printf("\nvision encoder\n");
        print_members(*vision);
    }
    std::printf("\nweights in the file\n");
    for (const Json::Member& member : document.find("weights")->members) {
        std::printf("  %-10s %5s tensors  %s\n", member.first.c_str(),
                    member.second.find("tensors")->text.c_str(),
                    readable(static_cast<uint64_t>(member.second.find("bytes")->number)).c_str());
    }
    std::printf("\nkernels\n");
    for (const std::string& kernel : plan.facts.kernels) std::printf("  %s\n", kernel.c_str());
    print_memory(plan, towers, options);
}

}  // namespace

Failure inspect_command(const Options& options) {
    std::string file;
    Result<ModelPlan> plan = plan_model(options.model, engine_options(options), &file);
    if (!plan) return {plan.error(), file};
    const Result<Towers> towers = plan_towers(*plan, options, file);
    if (!towers) return {towers.error(), file};
    Json document = Json::object();
    document.set("architecture", architecture(plan->checkpoint.config()));
    document.set("weights", weight_types(plan->checkpoint));
    Json kernels = Json::array();
    for (const std::string& kernel : plan->facts.kernels) kernels.items.push_back(Json::of(kernel));
    document.set("kernels", std::move(kernels));
    document.set("isa", Json::of(isa_name(plan->facts.isa)));
    document.set("context", Json::of_integer(static_cast<int64_t>(plan->options.context)));
    document.set("weight_bytes_per_token",
                 Json::of_integer(static_cast<int64_t>(plan->facts.weight_bytes_per_token)));
    document.set("kv_scales_divided", Json::of_bool(plan->facts.kv_scales_divided));
    document.set("uncalibrated_sides",
                 Json::of_integer(static_cast<int64_t>(plan->facts.n_uncalibrated)));
    document.set("memory", memory_plan(plan->memory));
    if (towers->vision) {
        Json vision = vision_facts(*towers->vision, options);
        vision.set("memory", memory_plan(towers->vision->memory));
        document.set("vision", std::move(vision));
    }
    if (towers->audio) {
        Json audio = Json::object();
        audio.set("memory", memory_plan(*towers->audio));
        document.set("audio", std::move(audio));
    }
    if (options.json) {
        std::printf("%s\n", write_json(document).c_str());
    } else {
        print_readable(document, *plan, *towers, options);
    }
    return {};
}

}  // namespace gemlet
