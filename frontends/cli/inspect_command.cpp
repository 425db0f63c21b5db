// gemlet inspect: what a model is, what it will take, and how it will be computed. Maps the file
// and reads its directory; no weights are loaded.
#include <array>
#include <cstdio>
#include <map>

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

void print_readable(const Json& document, const ModelPlan& plan, const Options& options) {
    for (const Json::Member& member : document.find("architecture")->members) {
        const Json& value = member.second;
        if (value.text != "0") std::printf("%-22s %s\n", member.first.c_str(), value.text.c_str());
    }
    std::printf("\nweights in the file\n");
    for (const Json::Member& member : document.find("weights")->members) {
        std::printf("  %-10s %5s tensors  %s\n", member.first.c_str(),
                    member.second.find("tensors")->text.c_str(),
                    readable(static_cast<uint64_t>(member.second.find("bytes")->number)).c_str());
    }
    std::printf("\nkernels\n");
    for (const std::string& kernel : plan.facts.kernels) std::printf("  %s\n", kernel.c_str());
    std::printf("\nmemory with a context of %zu positions, %zu threads\n", plan.options.context,
                plan.options.n_threads);
    for (const MemoryLine& line : plan.memory.lines) {
        if (line.resident) {
            std::printf("  %-34s %10s\n", line.name.c_str(), readable(line.bytes).c_str());
        }
    }
    std::printf("  %-34s %10s\n", "resident at most", readable(plan.memory.resident_bytes).c_str());
    std::printf("mapped, read as needed\n");
    for (const MemoryLine& line : plan.memory.lines) {
        if (!line.resident) {
            std::printf("  %-34s %10s\n", line.name.c_str(), readable(line.bytes).c_str());
        }
    }
    if (options.memory_bytes == 0) return;
    if (plan.memory.resident_bytes <= options.memory_bytes) {
        std::printf("fits the limit of %s\n", readable(options.memory_bytes).c_str());
    } else if (plan.memory.largest_context != 0) {
        std::printf("exceeds the limit of %s; --context %zu would fit\n",
                    readable(options.memory_bytes).c_str(), plan.memory.largest_context);
    } else {
        std::printf("exceeds the limit of %s with any context\n",
                    readable(options.memory_bytes).c_str());
    }
}

}  // namespace

Failure inspect_command(const Options& options) {
    std::string file;
    Result<ModelPlan> plan = plan_model(options.model, engine_options(options), &file);
    if (!plan) return {plan.error(), file};
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
    if (options.json) {
        std::printf("%s\n", write_json(document).c_str());
    } else {
        print_readable(document, *plan, options);
    }
    return {};
}

}  // namespace gemlet
