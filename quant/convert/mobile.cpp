// The tables come first, because every prompt begins with them; then layer after layer: what its
// linears meet gives their static scales and the moments for rounding, and the quantised layer,
// with its activations on their grids, makes the input of the next one. Last the head.
#include "quant/convert/mobile.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/files/mapped_file.h"
#include "core/guard.h"
#include "quant/convert/linear_algebra.h"
#include "quant/convert/matrix_quantizer.h"
#include "quant/convert/mobile_folder.h"
#include "quant/convert/mobile_layout.h"
#include "quant/convert/output_file.h"
#include "quant/convert/table_moments.h"

namespace gemlet {
namespace {

constexpr float kLargestCode = 127.0F;
constexpr size_t kWidestKeptGram = 8192;
constexpr float kTableDamping = 1e-4F;  // nothing is sampled here, so there is no noise to damp

/// Quantised rows and their scales, as the running layer reads them.
struct KeptRows {
    std::vector<uint8_t> rows;
    std::vector<float> scales;
};

/// What is noted as complete, for a run that goes on; layers follow.
enum Part : size_t { towers, embedding, ple_table, head, first_layer };

class MobileConversion {
  public:
    MobileConversion(const Checkpoint& source, const QuantizeOptions& options, TextWeights& weights,
                     const TextWeights& exact, ThreadPool& pool)
        : source_(source),
          config_(source.config()),
          options_(options),
          weights_(weights),
          exact_(exact),
          pool_(pool) {}

    Status plan();
    Status open(const std::string& path, size_t n_prompt_rows);
    Status run(std::vector<CalibrationPrompt> prompts);
    QuantizeReport report() const { return report_; }

  private:
    Status copy_others();
    Status convert_table(Part part, const std::string& module, const EmbeddingTable& table,
                         const InputKnowledge& inputs);
    Status convert_embedding();
    Status convert_towers();
    Status use_tables();
    Status convert_layer(size_t layer, CalibrationRunner& runner);
    Status convert_linear(size_t layer, LayerLinear linear, const LayerStatistics& statistics,
                          const InputKnowledge& inputs);
    Status convert_rows(const std::string& weight, const std::string& scale, const MatrixJob& job);
    Status observe_and_convert(size_t layer, CalibrationRunner& runner);
    Status use_rows(const std::string& module, size_t bits, Matrix& matrix, KeptRows& kept);
    Status write_scalar(const std::string& name, float value);
    Status read_scalar(const std::string& name, float& value) const;
    Status write_kv_scales(size_t layer, const LayerStatistics& statistics);
    Status convert_head(CalibrationRunner& runner);
    Status report_progress(size_t n_weights);

    const Checkpoint& source_;
    const ModelConfig& config_;
    const QuantizeOptions& options_;
    TextWeights& weights_;
    const TextWeights& exact_;  // as they are in the source
    ThreadPool& pool_;
    MobileLayout layout_;
    std::optional<OutputFile> file_;
    MappedFile tables_;  // the file being written, once the tables are in it
    std::vector<float> key_scales_;
    std::vector<float> value_scales_;
    size_t n_done_ = 0;
    QuantizeReport report_;
};

Status MobileConversion::plan() {
    GEMLET_TRY(layout_.plan(source_, options_.scheme, weights_));
    report_.source_bytes = layout_.source_bytes();
    report_.bytes = layout_.file_bytes();
    report_.n_tensors = layout_.n_tensors();
    report_.n_quantised = layout_.n_quantised();
    return {};
}

Status MobileConversion::open(const std::string& path, size_t n_prompt_rows) {
    report_.n_calibration_rows = n_prompt_rows;
    const std::string fingerprint =
        options_.scheme.name + " " + std::to_string(static_cast<int>(options_.method)) + " " +
        std::to_string(layout_.source_bytes()) + " " + std::to_string(layout_.file_bytes()) + " " +
        std::to_string(n_prompt_rows);
    Result<OutputFile> file =
        OutputFile::create(path, layout_.file_bytes(), Part::first_layer + config_.n_layers,
                           options_.resume, fingerprint);
    GEMLET_TRY(file);
    file_.emplace(std::move(*file));
    return file_->write(0, layout_.front());
}

Status MobileConversion::report_progress(size_t n_weights) {
    n_done_ += n_weights;
    if (options_.progress != nullptr) {
        options_.progress(options_.context, n_done_, layout_.n_weights());
    }
    if (options_.cancel != nullptr && *options_.cancel) return {StatusCode::cancelled, "stopped"};
    return {};
}

Status MobileConversion::copy_others() {
    for (const TensorView& view : source_.tensors()) {
        if (layout_.is_replaced(view.name)) continue;
        GEMLET_TRY(file_->write(layout_.tensor(view.name).offset, view.bytes));
        advise(view.bytes, Access::not_needed);
    }
    return report_progress(0);
}

/// Quantises a matrix into a tensor of codes and one of scales.
Status MobileConversion::convert_rows(const std::string& weight, const std::string& scale,
                                      const MatrixJob& job) {
    const uint64_t rows_at = layout_.tensor(weight).offset;
    const uint64_t scales_at = layout_.tensor(scale).offset;
    const size_t stride = row_bytes(job.type, job.source.n_cols);
    return quantize_matrix(
        job, pool_,
        [&](size_t first, size_t count, std::span<const uint8_t> rows,
            std::span<const float> scales) -> Status {
            GEMLET_TRY(file_->write(rows_at + first * stride, rows));
            GEMLET_TRY(file_->write(
                scales_at + first * sizeof(float),
                {reinterpret_cast<const uint8_t*>(scales.data()), scales.size_bytes()}));
            return report_progress(count * job.source.n_cols);
        });
}

/// A block of a table has a scale of its own, so it is a row of its own.
Status MobileConversion::convert_table(Part part, const std::string& module,
                                       const EmbeddingTable& table, const InputKnowledge& inputs) {
    if (file_->is_done(part)) return report_progress(table.rows.n_rows * table.rows.n_cols);
    const size_t n_blocks = layout_.tensor(module + ".embedding_scale").shape[1];
    Matrix blocks = table.rows;
    blocks.n_rows *= n_blocks;
    blocks.n_cols /= n_blocks;
    blocks.row_stride_bytes = row_bytes(blocks.type, blocks.n_cols);
    MatrixJob job{blocks, WeightType::i4r, options_.method, inputs};
    GEMLET_TRY(convert_rows(module + ".embedding_quantized", module + ".embedding_scale", job));
    return file_->mark_done(part);
}

Status MobileConversion::convert_embedding() {
    InputMoments moments;
    InputKnowledge knowledge;
    if (options_.method == Method::gptq && !file_->is_done(Part::embedding)) {
        moments = embedding_moments(config_, weights_);
    }
    if (moments.present() && prepare_moments(moments, kTableDamping, true)) {
        knowledge = {&moments, moments.diagonal};
    }
    return convert_table(Part::embedding, layout_.embedding(), weights_.embedding, knowledge);
}

/// Their inputs are not calibrated, so codes are those of the least error of the weights. Static
/// scales follow from the bounds that the linears have in the source.
Status MobileConversion::convert_towers() {
    for (const TowerModule& tower : layout_.towers()) {
        if (file_->is_done(Part::towers)) {
            GEMLET_TRY(report_progress(tower.weight.n_rows * tower.weight.n_cols));
            continue;
        }
        const MatrixJob job{tower.weight,
                            row_type(tower_bits(options_.scheme, tower.module)),
                            std::min(options_.method, Method::search),
                            {}};
        GEMLET_TRY(convert_rows(tower.module + ".weight", tower.module + ".weight_scale", job));
        GEMLET_TRY(write_scalar(tower.module + ".input_activation_scale", tower.input_scale));
        GEMLET_TRY(write_scalar(tower.module + ".output_activation_scale", tower.output_scale));
    }
    return file_->mark_done(Part::towers);
}

/// From here on prompts read the quantised tables.
Status MobileConversion::use_tables() {
    Result<MappedFile> mapped = MappedFile::open(file_->partial_path());
    GEMLET_TRY(mapped);
    tables_ = std::move(*mapped);
    const auto use = [&](const std::string& module, EmbeddingTable& table) {
        const SafetensorsTensor& scales = layout_.tensor(module + ".embedding_scale");
        table.rows.type = WeightType::i4r;
        table.rows.row_stride_bytes = row_bytes(WeightType::i4r, table.rows.n_cols);
        table.rows.data =
            tables_.bytes().data() + layout_.tensor(module + ".embedding_quantized").offset;
        table.block_scale = tables_.bytes().data() + scales.offset;
        table.n_blocks = scales.shape[1];
    };
    use(layout_.embedding(), weights_.embedding);
    if (config_.ple_width != 0) use(layout_.ple_table(), weights_.ple);
    return {};
}

Status MobileConversion::write_scalar(const std::string& name, float value) {
    uint8_t bytes[sizeof(float)];
    std::memcpy(bytes, &value, sizeof value);
    return file_->write(layout_.tensor(name).offset, bytes);
}

Status MobileConversion::read_scalar(const std::string& name, float& value) const {
    uint8_t bytes[sizeof(float)];
    GEMLET_TRY(file_->read(layout_.tensor(name).offset, bytes));
    std::memcpy(&value, bytes, sizeof value);
    return {};
}

/// From here on prompts read what the file has for a linear; `kept` holds it.
Status MobileConversion::use_rows(const std::string& module, size_t bits, Matrix& matrix,
                                  KeptRows& kept) {
    matrix.type = row_type(bits);
    matrix.row_stride_bytes = row_bytes(matrix.type, matrix.n_cols);
    kept.rows.resize(matrix.n_rows * matrix.row_stride_bytes);
    kept.scales.resize(matrix.n_rows);
    GEMLET_TRY(file_->read(layout_.tensor(module + ".weight").offset, kept.rows));
    GEMLET_TRY(file_->read(
        layout_.tensor(module + ".weight_scale").offset,
        {reinterpret_cast<uint8_t*>(kept.scales.data()), kept.scales.size() * sizeof(float)}));
    matrix.data = kept.rows.data();
    matrix.row_scale = reinterpret_cast<const uint8_t*>(kept.scales.data());
    GEMLET_TRY(read_scalar(module + ".input_activation_scale", matrix.input_scale));
    return read_scalar(module + ".output_activation_scale", matrix.output_scale);
}

Status MobileConversion::convert_linear(size_t layer, LayerLinear linear,
                                        const LayerStatistics& statistics,
                                        const InputKnowledge& inputs) {
    const std::string module = layout_.linear(layer, linear);
    const LinearRange& range = statistics.ranges[static_cast<size_t>(linear)];
    const LinearRange& shared = statistics.ranges[static_cast<size_t>(first_reader(linear))];
    const MatrixJob job{matrix_of(weights_.layers[layer], linear),
                        row_type(mobile_bits(options_.scheme, config_, layer, linear)),
                        options_.method, inputs};
    GEMLET_TRY(convert_rows(module + ".weight", module + ".weight_scale", job));
    // What never differs from zero would have no scale; zero means "not quantised".
    GEMLET_TRY(write_scalar(module + ".input_activation_scale", shared.input.best_step()));
    return write_scalar(module + ".output_activation_scale", range.output.best_step());
}

Status MobileConversion::write_kv_scales(size_t layer, const LayerStatistics& statistics) {
    const auto scale = [](float largest) { return std::max(largest, 1e-6F) / kLargestCode; };
    const size_t donor = config_.layers[layer].kv_donor;
    const bool owns = config_.layers[layer].owns_kv;
    const std::string attention = layout_.attention(layer) + ".";
    GEMLET_TRY(write_scalar(attention + "k_cache_scale",
                            owns ? scale(statistics.largest_key) : key_scales_[donor]));
    return write_scalar(attention + "v_cache_scale",
                        owns ? scale(statistics.largest_value) : value_scales_[donor]);
}

Status MobileConversion::observe_and_convert(size_t layer, CalibrationRunner& runner) {
    LayerStatistics statistics;
    statistics.ranges.resize(kLayerLinears);
    const Gather gather = options_.method == Method::gptq ? Gather::moments : Gather::squares;
    GEMLET_TRY(runner.observe(layer, gather, statistics));
    GEMLET_TRY(write_kv_scales(layer, statistics));
    for (size_t input = 0; input < kLayerInputs; ++input) {
        InputMoments& moments = statistics.inputs[input];
        InputKnowledge knowledge{nullptr, statistics.squares[input]};
        if (moments.present() &&
            prepare_moments(moments, options_.damping, moments.k <= kWidestKeptGram)) {
            knowledge.moments = &moments;
        }
        for (size_t i = 0; i < kLayerLinears; ++i) {
            const auto linear = static_cast<LayerLinear>(i);
            const bool reads_it = static_cast<size_t>(input_of(linear)) == input;
            if (!reads_it || !matrix_of(weights_.layers[layer], linear).present()) continue;
            GEMLET_TRY(convert_linear(layer, linear, statistics, knowledge));
        }
        moments = {};
    }
    return file_->mark_done(Part::first_layer + layer);
}

Status MobileConversion::convert_layer(size_t layer, CalibrationRunner& runner) {
    const bool was_done = file_->is_done(Part::first_layer + layer);
    if (!was_done) GEMLET_TRY(observe_and_convert(layer, runner));
    const std::string attention = layout_.attention(layer) + ".";
    GEMLET_TRY(read_scalar(attention + "k_cache_scale", key_scales_[layer]));
    GEMLET_TRY(read_scalar(attention + "v_cache_scale", value_scales_[layer]));
    KeptRows kept[kLayerLinears];
    for (size_t i = 0; i < kLayerLinears; ++i) {
        const auto linear = static_cast<LayerLinear>(i);
        Matrix& matrix = matrix_of(weights_.layers[layer], linear);
        if (!matrix.present()) continue;
        if (was_done) GEMLET_TRY(report_progress(matrix.n_rows * matrix.n_cols));
        GEMLET_TRY(use_rows(layout_.linear(layer, linear),
                            mobile_bits(options_.scheme, config_, layer, linear), matrix, kept[i]));
    }
    return runner.advance(layer);
}

Status MobileConversion::convert_head(CalibrationRunner& runner) {
    if (file_->is_done(Part::head)) return {};
    InputMoments moments;
    std::vector<float> squares;
    const bool feeds_back = options_.method == Method::gptq;
    GEMLET_TRY(
        runner.observe_head(feeds_back ? Gather::moments : Gather::squares, moments, squares));
    InputKnowledge knowledge{nullptr, squares};
    if (moments.present() && prepare_moments(moments, options_.damping, true)) {
        knowledge.moments = &moments;
    }
    const MatrixJob job{weights_.head, row_type(options_.scheme.mobile_bits), options_.method,
                        knowledge};
    GEMLET_TRY(convert_rows("lm_head.weight", "lm_head.weight_scale", job));
    GEMLET_TRY(write_scalar("lm_head.input_activation_scale", 0));
    GEMLET_TRY(write_scalar("lm_head.output_activation_scale", 0));
    return file_->mark_done(Part::head);
}

Status MobileConversion::run(std::vector<CalibrationPrompt> prompts) {
    key_scales_.resize(config_.n_layers);
    value_scales_.resize(config_.n_layers);
    GEMLET_TRY(copy_others());
    GEMLET_TRY(convert_towers());
    GEMLET_TRY(convert_embedding());
    if (config_.ple_width != 0) {
        GEMLET_TRY(convert_table(Part::ple_table, layout_.ple_table(), weights_.ple, {}));
    }
    GEMLET_TRY(use_tables());
    Result<std::unique_ptr<CalibrationRunner>> runner =
        CalibrationRunner::create(config_, weights_, pool_, std::move(prompts),
                                  options_.method == Method::gptq ? &exact_ : nullptr);
    GEMLET_TRY(runner);
    (*runner)->set_cancel(options_.cancel);
    for (size_t layer = 0; layer < config_.n_layers; ++layer) {
        GEMLET_TRY(convert_layer(layer, **runner));
    }
    GEMLET_TRY(convert_head(**runner));
    return file_->finish();
}

Status check_request(const Checkpoint& source, const QuantizeOptions& options,
                     const std::vector<CalibrationPrompt>& prompts) {
    if (source.is_gguf()) {
        return {StatusCode::unsupported, "mobile schemes need a Hugging Face directory",
                source.path()};
    }
    if (source.config().is_qat || source.config().n_experts != 0) {
        return {StatusCode::unsupported, "mobile schemes are for dense models in floats",
                source.path()};
    }
    if (prompts.empty()) {
        return {StatusCode::bad_argument, "static scales need calibration", "--calibration"};
    }
    if (options.method == Method::gptq && !have_linear_algebra()) {
        return {StatusCode::unsupported,
                "this build has no linear algebra (GEMLET_QUANT): use search", "gptq"};
    }
    return {};
}

}  // namespace

Result<QuantizeReport> quantize_to_mobile(const Checkpoint& source, const std::string& path,
                                          const QuantizeOptions& options,
                                          std::vector<CalibrationPrompt> prompts) {
    return guard([&]() -> Result<QuantizeReport> {
        GEMLET_TRY(check_request(source, options, prompts));
        Result<TextWeights> weights = bind_text_weights(source, source.config());
        GEMLET_TRY(weights);
        const Result<TextWeights> exact = bind_text_weights(source, source.config());
        GEMLET_TRY(exact);
        ThreadPoolOptions threads;
        threads.n_threads = options.n_threads;
        Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads);
        GEMLET_TRY(pool);
        NewFolder folder(path, options.resume);
        GEMLET_TRY(folder.make());
        GEMLET_TRY(write_small_files(source, options.scheme, folder));
        MobileConversion conversion(source, options, *weights, *exact, **pool);
        GEMLET_TRY(conversion.plan());
        GEMLET_TRY(conversion.open(folder.file("model.safetensors"), rows_of(prompts)));
        GEMLET_TRY(conversion.run(std::move(prompts)));
        GEMLET_TRY(folder.finish());
        return conversion.report();
    });
}

}  // namespace gemlet
