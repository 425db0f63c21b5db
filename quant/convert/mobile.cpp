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
#include "quant/convert/mobile_towers.h"
#include "quant/convert/output_file.h"
#include "quant/convert/safetensors_writer.h"
#include "quant/convert/table_moments.h"

namespace gemlet {
namespace {

constexpr float kLargestCode = 127.0F;
constexpr size_t kWidestKeptGram = 8192;
constexpr float kTableDamping = 1e-4F;  // nothing is sampled here, so there is no noise to damp

WeightType row_type(size_t bits) {
    return bits == 2 ? WeightType::i2r : bits == 4 ? WeightType::i4r : WeightType::i8r;
}

const char* dtype_of(const TensorView& tensor) {
    if (tensor.raw != RawType::weight) return nullptr;
    if (tensor.type == WeightType::f32) return "F32";
    if (tensor.type == WeightType::f16) return "F16";
    return tensor.type == WeightType::bf16 ? "BF16" : nullptr;
}

/// Quantised rows and their scales, as the running layer reads them.
struct KeptRows {
    std::vector<uint8_t> rows;
    std::vector<float> scales;
};

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
    Status open(const std::string& path);
    Status run(std::vector<CalibrationPrompt> prompts);
    QuantizeReport report() const { return report_; }

  private:
    void add(const std::string& name, const char* dtype, std::vector<size_t> shape, size_t n_bytes);
    void plan_linear(const std::string& module, const Matrix& matrix, size_t bits);
    void plan_table(const std::string& module, const Matrix& rows, size_t n_blocks);
    bool is_replaced(const std::string& name) const;
    size_t bits_of(size_t layer, LayerLinear linear) const;
    std::string module_name(size_t layer, LayerLinear linear) const;

    Status copy_others();
    Status convert_table(const std::string& module, const EmbeddingTable& table,
                         const InputKnowledge& inputs);
    Status convert_embedding();
    Status convert_towers();
    Status use_tables();
    Status convert_layer(size_t layer, CalibrationRunner& runner);
    Status convert_linear(size_t layer, LayerLinear linear, const LayerStatistics& statistics,
                          const InputKnowledge& inputs, KeptRows& kept);
    Status convert_rows(const std::string& weight, const std::string& scale, const MatrixJob& job,
                        KeptRows* kept);
    Status write_scalar(const std::string& name, float value);
    Status write_kv_scales(size_t layer, const LayerStatistics& statistics);
    Status convert_head(CalibrationRunner& runner);
    const SafetensorsTensor& tensor(const std::string& name) const;
    Status report_progress(size_t n_weights);

    const Checkpoint& source_;
    const ModelConfig& config_;
    const QuantizeOptions& options_;
    TextWeights& weights_;
    const TextWeights& exact_;  // as they are in the source
    ThreadPool& pool_;
    std::string prefix_;
    std::vector<TowerModule> towers_;
    std::vector<SafetensorsTensor> tensors_;
    std::vector<uint8_t> front_;
    uint64_t file_bytes_ = 0;
    std::optional<OutputFile> file_;
    MappedFile tables_;  // the file being written, once the tables are in it
    std::vector<float> largest_keys_;
    std::vector<float> largest_values_;
    size_t n_weights_ = 0;
    size_t n_done_ = 0;
    QuantizeReport report_;
};

void MobileConversion::add(const std::string& name, const char* dtype, std::vector<size_t> shape,
                           size_t n_bytes) {
    tensors_.push_back({name, dtype, std::move(shape), n_bytes});
}

void MobileConversion::plan_linear(const std::string& module, const Matrix& matrix, size_t bits) {
    const size_t stride = row_bytes(row_type(bits), matrix.n_cols);
    add(module + ".weight", bits == 8 ? "I8" : "U8", {matrix.n_rows, stride},
        matrix.n_rows * stride);
    add(module + ".weight_scale", "F32", {matrix.n_rows, 1}, matrix.n_rows * sizeof(float));
    add(module + ".input_activation_scale", "F32", {}, sizeof(float));
    add(module + ".output_activation_scale", "F32", {}, sizeof(float));
    n_weights_ += matrix.n_rows * matrix.n_cols;
    ++report_.n_quantised;
}

void MobileConversion::plan_table(const std::string& module, const Matrix& rows, size_t n_blocks) {
    const size_t stride = row_bytes(WeightType::i4r, rows.n_cols);
    add(module + ".embedding_quantized", "U8", {rows.n_rows, stride}, rows.n_rows * stride);
    add(module + ".embedding_scale", "F32", {rows.n_rows, n_blocks},
        rows.n_rows * n_blocks * sizeof(float));
    n_weights_ += rows.n_rows * rows.n_cols;
    ++report_.n_quantised;
}

size_t MobileConversion::bits_of(size_t layer, LayerLinear linear) const {
    const Scheme& scheme = options_.scheme;
    if (linear == LayerLinear::ple_gate || linear == LayerLinear::ple_projection) return 8;
    const bool is_ffn = input_of(linear) == LayerInput::feed_forward || linear == LayerLinear::down;
    return is_ffn && layer >= config_.n_owning_layers ? scheme.late_bits : scheme.mobile_bits;
}

std::string MobileConversion::module_name(size_t layer, LayerLinear linear) const {
    return prefix_ + "layers." + std::to_string(layer) + "." + name_of(linear);
}

/// Whether a tensor of the source is written in another form, or not at all.
bool MobileConversion::is_replaced(const std::string& name) const {
    if (name == "lm_head.weight" || name == prefix_ + "embed_tokens.weight" ||
        name == prefix_ + "embed_tokens_per_layer.weight") {
        return true;
    }
    if (is_tower_linear(name)) return true;
    const std::string layers = prefix_ + "layers.";
    if (name.compare(0, layers.size(), layers) != 0) return false;
    for (size_t i = 0; i < kLayerLinears; ++i) {
        const std::string end = std::string(".") + name_of(static_cast<LayerLinear>(i)) + ".weight";
        if (name.size() > end.size() &&
            name.compare(name.size() - end.size(), end.size(), end) == 0) {
            return true;
        }
    }
    return false;
}

Status MobileConversion::plan() {
    const std::string norm = "norm.weight";
    const std::string norm_name = source_.file_name_of(norm);
    prefix_ = norm_name.substr(0, norm_name.size() - norm.size());
    if (prefix_.find("language_model.") == std::string::npos) {
        return {StatusCode::unsupported, "tensor names are not those of the whole model",
                source_.path()};
    }
    for (const TensorView& view : source_.tensors()) {
        report_.source_bytes += view.bytes.size();
        if (is_replaced(view.name)) continue;
        const char* dtype = dtype_of(view);
        if (dtype == nullptr) {
            return {StatusCode::unsupported, "tensor does not hold floats", view.name};
        }
        add(view.name, dtype, {view.shape.begin(), view.shape.begin() + view.n_dims},
            view.bytes.size());
    }
    for (size_t layer = 0; layer < config_.n_layers; ++layer) {
        for (size_t i = 0; i < kLayerLinears; ++i) {
            const auto linear = static_cast<LayerLinear>(i);
            const Matrix& matrix = matrix_of(weights_.layers[layer], linear);
            if (!matrix.present()) continue;
            plan_linear(module_name(layer, linear), matrix, bits_of(layer, linear));
        }
        const std::string attention = prefix_ + "layers." + std::to_string(layer) + ".self_attn.";
        add(attention + "k_cache_scale", "F32", {}, sizeof(float));
        add(attention + "v_cache_scale", "F32", {}, sizeof(float));
    }
    towers_ = find_towers(source_);
    for (const TowerModule& tower : towers_) {
        plan_linear(tower.module, tower.weight, tower_bits(options_.scheme, tower.module));
    }
    plan_table(prefix_ + "embed_tokens", weights_.embedding.rows, 1);
    if (config_.ple_width != 0) {
        plan_table(prefix_ + "embed_tokens_per_layer", weights_.ple.rows, config_.n_layers);
    }
    plan_linear("lm_head", weights_.head, options_.scheme.mobile_bits);
    // Four-byte numbers first, so that all of them are aligned.
    std::ranges::stable_sort(tensors_, [](const auto& a, const auto& b) {
        return (a.dtype == "F32") > (b.dtype == "F32");
    });
    front_ = write_safetensors_front(tensors_, file_bytes_);
    std::ranges::sort(tensors_, {}, &SafetensorsTensor::name);
    report_.bytes = file_bytes_;
    report_.n_tensors = tensors_.size();
    return {};
}

Status MobileConversion::open(const std::string& path) {
    Result<OutputFile> file = OutputFile::create(path, file_bytes_, 1, false, {});
    GEMLET_TRY(file);
    file_.emplace(std::move(*file));
    return file_->write(0, front_);
}

const SafetensorsTensor& MobileConversion::tensor(const std::string& name) const {
    return *std::ranges::lower_bound(tensors_, name, {}, &SafetensorsTensor::name);
}

Status MobileConversion::report_progress(size_t n_weights) {
    n_done_ += n_weights;
    if (options_.progress != nullptr) options_.progress(options_.context, n_done_, n_weights_);
    if (options_.cancel != nullptr && *options_.cancel) return {StatusCode::cancelled, "stopped"};
    return {};
}

Status MobileConversion::copy_others() {
    for (const TensorView& view : source_.tensors()) {
        if (is_replaced(view.name)) continue;
        GEMLET_TRY(file_->write(tensor(view.name).offset, view.bytes));
        advise(view.bytes, Access::not_needed);
    }
    return report_progress(0);
}

/// Quantises a matrix into a tensor of codes and one of scales.
Status MobileConversion::convert_rows(const std::string& weight, const std::string& scale,
                                      const MatrixJob& job, KeptRows* kept) {
    const uint64_t rows_at = tensor(weight).offset;
    const uint64_t scales_at = tensor(scale).offset;
    const size_t stride = row_bytes(job.type, job.source.n_cols);
    return quantize_matrix(
        job, pool_,
        [&](size_t first, size_t count, std::span<const uint8_t> rows,
            std::span<const float> scales) -> Status {
            GEMLET_TRY(file_->write(rows_at + first * stride, rows));
            GEMLET_TRY(file_->write(
                scales_at + first * sizeof(float),
                {reinterpret_cast<const uint8_t*>(scales.data()), scales.size_bytes()}));
            if (kept != nullptr) {
                kept->rows.insert(kept->rows.end(), rows.begin(), rows.end());
                kept->scales.insert(kept->scales.end(), scales.begin(), scales.end());
            }
            return report_progress(count * job.source.n_cols);
        });
}

/// A block of a table has a scale of its own, so it is a row of its own.
Status MobileConversion::convert_table(const std::string& module, const EmbeddingTable& table,
                                       const InputKnowledge& inputs) {
    const size_t n_blocks = tensor(module + ".embedding_scale").shape[1];
    Matrix blocks = table.rows;
    blocks.n_rows *= n_blocks;
    blocks.n_cols /= n_blocks;
    blocks.row_stride_bytes = row_bytes(blocks.type, blocks.n_cols);
    MatrixJob job{blocks, WeightType::i4r, options_.method, inputs};
    return convert_rows(module + ".embedding_quantized", module + ".embedding_scale", job, nullptr);
}

Status MobileConversion::convert_embedding() {
    InputMoments moments;
    InputKnowledge knowledge;
    if (options_.method == Method::gptq) moments = embedding_moments(config_, weights_);
    if (moments.present() && prepare_moments(moments, kTableDamping, true)) {
        knowledge = {&moments, moments.diagonal};
    }
    return convert_table(prefix_ + "embed_tokens", weights_.embedding, knowledge);
}

/// Their inputs are not calibrated, so codes are those of the least error of the weights. Static
/// scales follow from the bounds that the linears have in the source.
Status MobileConversion::convert_towers() {
    for (const TowerModule& tower : towers_) {
        const MatrixJob job{tower.weight,
                            row_type(tower_bits(options_.scheme, tower.module)),
                            std::min(options_.method, Method::search),
                            {}};
        GEMLET_TRY(
            convert_rows(tower.module + ".weight", tower.module + ".weight_scale", job, nullptr));
        GEMLET_TRY(write_scalar(tower.module + ".input_activation_scale", tower.input_scale));
        GEMLET_TRY(write_scalar(tower.module + ".output_activation_scale", tower.output_scale));
    }
    return {};
}

/// From here on prompts read the quantised tables.
Status MobileConversion::use_tables() {
    Result<MappedFile> mapped = MappedFile::open(file_->partial_path());
    GEMLET_TRY(mapped);
    tables_ = std::move(*mapped);
    const auto use = [&](const std::string& module, EmbeddingTable& table) {
        const SafetensorsTensor& scales = tensor(module + ".embedding_scale");
        table.rows.type = WeightType::i4r;
        table.rows.row_stride_bytes = row_bytes(WeightType::i4r, table.rows.n_cols);
        table.rows.data = tables_.bytes().data() + tensor(module + ".embedding_quantized").offset;
        table.block_scale = tables_.bytes().data() + scales.offset;
        table.n_blocks = scales.shape[1];
    };
    use(prefix_ + "embed_tokens", weights_.embedding);
    if (config_.ple_width != 0) use(prefix_ + "embed_tokens_per_layer", weights_.ple);
    return {};
}

Status MobileConversion::write_scalar(const std::string& name, float value) {
    uint8_t bytes[sizeof(float)];
    std::memcpy(bytes, &value, sizeof value);
    return file_->write(tensor(name).offset, bytes);
}

Status MobileConversion::convert_linear(size_t layer, LayerLinear linear,
                                        const LayerStatistics& statistics,
                                        const InputKnowledge& inputs, KeptRows& kept) {
    const std::string module = module_name(layer, linear);
    Matrix& matrix = matrix_of(weights_.layers[layer], linear);
    const LinearRange& range = statistics.ranges[static_cast<size_t>(linear)];
    MatrixJob job{matrix, row_type(bits_of(layer, linear)), options_.method, inputs};
    GEMLET_TRY(convert_rows(module + ".weight", module + ".weight_scale", job, &kept));
    // What never differs from zero would have no scale; zero means "not quantised".
    matrix.input_scale =
        statistics.ranges[static_cast<size_t>(first_reader(linear))].input.best_step();
    matrix.output_scale = range.output.best_step();
    GEMLET_TRY(write_scalar(module + ".input_activation_scale", matrix.input_scale));
    GEMLET_TRY(write_scalar(module + ".output_activation_scale", matrix.output_scale));
    return {};
}

Status MobileConversion::write_kv_scales(size_t layer, const LayerStatistics& statistics) {
    if (config_.layers[layer].owns_kv) {
        largest_keys_[layer] = statistics.largest_key;
        largest_values_[layer] = statistics.largest_value;
    }
    const size_t donor = config_.layers[layer].kv_donor;
    const std::string attention = prefix_ + "layers." + std::to_string(layer) + ".self_attn.";
    const auto scale = [](float largest) { return std::max(largest, 1e-6F) / kLargestCode; };
    GEMLET_TRY(write_scalar(attention + "k_cache_scale", scale(largest_keys_[donor])));
    return write_scalar(attention + "v_cache_scale", scale(largest_values_[donor]));
}

Status MobileConversion::convert_layer(size_t layer, CalibrationRunner& runner) {
    LayerStatistics statistics;
    statistics.ranges.resize(kLayerLinears);
    const Gather gather = options_.method == Method::gptq ? Gather::moments : Gather::squares;
    GEMLET_TRY(runner.observe(layer, gather, statistics));
    GEMLET_TRY(write_kv_scales(layer, statistics));
    KeptRows kept[kLayerLinears];
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
            GEMLET_TRY(convert_linear(layer, linear, statistics, knowledge, kept[i]));
        }
        moments = {};
    }
    for (size_t i = 0; i < kLayerLinears; ++i) {
        const auto linear = static_cast<LayerLinear>(i);
        Matrix& matrix = matrix_of(weights_.layers[layer], linear);
        if (!matrix.present()) continue;
        matrix.type = row_type(bits_of(layer, linear));
        matrix.row_stride_bytes = row_bytes(matrix.type, matrix.n_cols);
        matrix.data = kept[i].rows.data();
        matrix.row_scale = reinterpret_cast<const uint8_t*>(kept[i].scales.data());
    }
    return runner.advance(layer);
}

Status MobileConversion::convert_head(CalibrationRunner& runner) {
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
    GEMLET_TRY(convert_rows("lm_head.weight", "lm_head.weight_scale", job, nullptr));
    GEMLET_TRY(write_scalar("lm_head.input_activation_scale", 0));
    return write_scalar("lm_head.output_activation_scale", 0);
}

Status MobileConversion::run(std::vector<CalibrationPrompt> prompts) {
    largest_keys_.resize(config_.n_layers);
    largest_values_.resize(config_.n_layers);
    GEMLET_TRY(copy_others());
    GEMLET_TRY(convert_towers());
    GEMLET_TRY(convert_embedding());
    if (config_.ple_width != 0) {
        GEMLET_TRY(convert_table(prefix_ + "embed_tokens_per_layer", weights_.ple, {}));
    }
    GEMLET_TRY(use_tables());
    Result<std::unique_ptr<CalibrationRunner>> runner =
        CalibrationRunner::create(config_, weights_, pool_, std::move(prompts),
                                  options_.method == Method::gptq ? &exact_ : nullptr);
    GEMLET_TRY(runner);
    report_.n_calibration_rows = (*runner)->n_rows();
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
    if (options.resume) {
        return {StatusCode::unsupported, "mobile schemes cannot be resumed yet", "--resume"};
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
        NewFolder folder(path);
        GEMLET_TRY(folder.make());
        GEMLET_TRY(write_small_files(source, options.scheme, folder));
        MobileConversion conversion(source, options, *weights, *exact, **pool);
        GEMLET_TRY(conversion.plan());
        GEMLET_TRY(conversion.open(folder.file("model.safetensors")));
        GEMLET_TRY(conversion.run(std::move(prompts)));
        GEMLET_TRY(folder.finish());
        return conversion.report();
    });
}

}  // namespace gemlet
