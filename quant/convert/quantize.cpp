// Sizes follow from shapes and types, so the file is laid out before the first weight is read, and
// tensors are filled in as they are finished: first what stands by itself, then layer after layer,
// last the embedding, whose importance as output head is known only behind the last layer.
#include "quant/convert/quantize.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "core/guard.h"
#include "quant/convert/gguf_metadata.h"
#include "quant/convert/gguf_writer.h"
#include "quant/convert/linear_algebra.h"
#include "quant/convert/matrix_quantizer.h"
#include "quant/convert/output_file.h"
#include "quant/formats/dequantize.h"

namespace gemlet {
namespace {

constexpr const char* kRopeTensor = "rope_freqs.weight";
// Beyond this width a Gram matrix is too large to be kept beside its factor.
constexpr size_t kWidestKeptGram = 8192;
constexpr size_t kMostFloats = size_t{128} << 20U;  // weights of a layer, in half a gigabyte

/// A tensor of the new file.
struct Item {
    const TensorView* source = nullptr;  // null: rope_freqs
    Role role = Role::other;
    size_t layer = SIZE_MAX;  // SIZE_MAX: of the whole model
    bool copied = false;      // bytes as they are
};

/// "layers.12.mlp.up_proj.weight": 12; SIZE_MAX where there is no layer.
size_t layer_of(std::string_view name) {
    constexpr std::string_view kLayers = "layers.";
    if (name.substr(0, kLayers.size()) != kLayers) return SIZE_MAX;
    size_t layer = 0;
    for (const char c : name.substr(kLayers.size())) {
        if (c < '0' || c > '9') return layer;
        layer = std::min<size_t>(layer * 10 + static_cast<size_t>(c - '0'), 1U << 20U);
    }
    return SIZE_MAX;
}

/// Keys and values of layers that share another's are never read.
bool is_dead(std::string_view name, size_t layer, const ModelConfig& config) {
    if (layer == SIZE_MAX || layer < config.n_owning_layers) return false;
    constexpr std::array kParts = {"self_attn.k_proj", "self_attn.v_proj", "self_attn.k_norm"};
    return std::ranges::any_of(
        kParts, [&](const char* part) { return name.find(part) != std::string_view::npos; });
}

Matrix as_matrix(const TensorView& tensor) {
    Matrix matrix;
    matrix.data = tensor.bytes.data();
    matrix.type = tensor.type;
    matrix.n_cols = tensor.n_dims == 0 ? 1 : tensor.shape[tensor.n_dims - 1];
    matrix.n_rows = tensor.n_elements() / matrix.n_cols;
    matrix.row_stride_bytes = row_bytes(tensor.type, matrix.n_cols);
    return matrix;
}

class Conversion {
  public:
    Conversion(const Checkpoint& source, const QuantizeOptions& options, TextWeights& weights,
               const TextWeights& exact, ThreadPool& pool)
        : source_(source),
          config_(source.config()),
          options_(options),
          weights_(weights),
          exact_(exact),
          pool_(pool) {}

    Status plan(const GgufVocabulary* vocabulary);
    Status open(const std::string& path, size_t n_prompt_rows);
    Status run(std::vector<CalibrationPrompt> prompts);
    QuantizeReport report() const { return report_; }

  private:
    void add(const TensorView* source, const std::string& name, std::string_view hf_name);
    Status convert(size_t index, const InputKnowledge& inputs, std::vector<uint8_t>* keep);
    Status convert_alone(bool (*wanted)(const Item& item));
    Status convert_layer(size_t layer, CalibrationRunner& runner);
    Status convert_input(size_t layer, LayerStatistics& statistics, size_t input,
                         std::vector<std::vector<uint8_t>>& kept);
    Status convert_head(CalibrationRunner& runner);
    size_t input_of_item(const Item& item);
    std::vector<float> dequantised(size_t index, const std::vector<uint8_t>& bytes) const;
    void replace(const Item& item, WeightType type, const uint8_t* rows);
    Gather gather() const {
        return options_.method == Method::gptq ? Gather::moments : Gather::squares;
    }

    const Checkpoint& source_;
    const ModelConfig& config_;
    const QuantizeOptions& options_;
    TextWeights& weights_;
    const TextWeights& exact_;  // as they are in the source
    ThreadPool& pool_;
    std::vector<Item> items_;
    std::vector<GgufTensor> tensors_;  // of each item
    std::vector<uint8_t> front_;
    uint64_t file_bytes_ = 0;
    std::optional<OutputFile> file_;
    size_t n_weights_ = 0;
    size_t n_done_ = 0;
    QuantizeReport report_;
};

void Conversion::add(const TensorView* source, const std::string& name, std::string_view hf_name) {
    Item item;
    item.source = source;
    item.layer = layer_of(hf_name);
    item.role = role_of(hf_name);
    const Matrix matrix = as_matrix(*source);
    GgufTensor tensor;
    tensor.name = name;
    tensor.shape.assign(source->shape.begin(), source->shape.begin() + source->n_dims);
    if (tensor.shape.empty()) tensor.shape = {1};
    const bool is_vector = source->n_dims < 2;
    tensor.type = is_vector
                      ? WeightType::f32
                      : gguf_type(options_.scheme, config_, item.role, item.layer, matrix.n_cols);
    items_.push_back(item);
    tensors_.push_back(tensor);
    n_weights_ += source->n_elements();
    report_.source_bytes += source->bytes.size();
}

Status Conversion::plan(const GgufVocabulary* vocabulary) {
    const std::string norm = "norm.weight";
    const std::string norm_name = source_.file_name_of(norm);
    const std::string prefix =
        source_.is_gguf() ? "" : norm_name.substr(0, norm_name.size() - norm.size());
    for (const TensorView& tensor : source_.tensors()) {
        std::string hf_name = tensor.name;
        if (source_.is_gguf()) {
            hf_name = hugging_face_tensor_name(tensor.name);
        } else if (tensor.name.compare(0, prefix.size(), prefix) == 0) {
            hf_name = tensor.name.substr(prefix.size());
        }
        const std::string name = gguf_tensor_name(hf_name);
        if (name.empty() || is_dead(hf_name, layer_of(hf_name), config_)) continue;
        if (tensor.raw != RawType::weight) {
            return {StatusCode::unsupported, "tensor does not hold weights of a known type",
                    tensor.name};
        }
        add(&tensor, name, hf_name);
    }
    items_.push_back({});
    GgufTensor rope;
    rope.name = kRopeTensor;
    rope.shape = {rope_divisors(config_).size()};
    tensors_.push_back(rope);
    Result<GgufMetadata> metadata = gguf_metadata(source_, options_.scheme, vocabulary);
    GEMLET_TRY(metadata);
    front_ = write_gguf_front(*metadata, tensors_, file_bytes_);
    report_.bytes = file_bytes_;
    report_.n_tensors = tensors_.size();
    return {};
}

Status Conversion::open(const std::string& path, size_t n_prompt_rows) {
    report_.n_calibration_rows = n_prompt_rows;
    const std::string fingerprint =
        options_.scheme.name + " " + std::to_string(static_cast<int>(options_.method)) + " " +
        std::to_string(report_.source_bytes) + " " + std::to_string(file_bytes_) + " " +
        std::to_string(n_prompt_rows);
    Result<OutputFile> file =
        OutputFile::create(path, file_bytes_, items_.size(), options_.resume, fingerprint);
    GEMLET_TRY(file);
    file_.emplace(std::move(*file));
    return file_->write(0, front_);
}

/// Quantises a tensor into the file, and into `keep` where the layers behind will need it.
Status Conversion::convert(size_t index, const InputKnowledge& inputs, std::vector<uint8_t>* keep) {
    const Item& item = items_[index];
    const GgufTensor& tensor = tensors_[index];
    if (keep != nullptr) keep->resize(tensor.n_bytes);
    if (item.source != nullptr) n_done_ += item.source->n_elements();
    if (file_->is_done(index)) {
        return keep != nullptr ? file_->read(tensor.offset, *keep) : Status();
    }
    if (item.source == nullptr) {
        const std::vector<float> divisors = rope_divisors(config_);
        GEMLET_TRY(file_->write(
            tensor.offset, {reinterpret_cast<const uint8_t*>(divisors.data()), tensor.n_bytes}));
        return file_->mark_done(index);
    }
    MatrixJob job{as_matrix(*item.source), tensor.type, options_.method, inputs};
    if (weight_type_info(tensor.type).is_block) ++report_.n_quantised;
    const size_t out_row_bytes = row_bytes(tensor.type, job.source.n_cols);
    const size_t before = n_done_ - item.source->n_elements();
    const auto sink = [&](size_t first, size_t count, std::span<const uint8_t> rows,
                          std::span<const float>) -> Status {
        if (options_.cancel != nullptr && *options_.cancel) {
            return {StatusCode::cancelled, "stopped"};
        }
        GEMLET_TRY(file_->write(tensor.offset + first * out_row_bytes, rows));
        if (keep != nullptr) {
            std::memcpy(keep->data() + first * out_row_bytes, rows.data(), rows.size());
        }
        if (options_.progress != nullptr) {
            options_.progress(options_.context, before + (first + count) * job.source.n_cols,
                              n_weights_);
        }
        return {};
    };
    GEMLET_TRY(quantize_matrix(job, pool_, sink));
    return file_->mark_done(index);
}

Status Conversion::convert_alone(bool (*wanted)(const Item& item)) {
    for (size_t i = 0; i < items_.size(); ++i) {
        if (wanted(items_[i])) GEMLET_TRY(convert(i, {}, nullptr));
    }
    return {};
}

/// The input that a layer's tensor reads; kLayerInputs for experts and others without statistics.
size_t Conversion::input_of_item(const Item& item) {
    LayerWeights& layer = weights_.layers[item.layer];
    const uint8_t* begin = item.source->bytes.data();
    const uint8_t* end = begin + item.source->bytes.size();
    for (size_t i = 0; i < kLayerLinears; ++i) {
        const auto linear = static_cast<LayerLinear>(i);
        const uint8_t* data = matrix_of(layer, linear).data;
        if (data != nullptr && data >= begin && data < end) {
            return static_cast<size_t>(input_of(linear));
        }
    }
    return kLayerInputs;
}

/// The weights of a tensor's blocks. Every prompt's hundreds of rows meet them: dequantised once,
/// in tiles of several rows, they take half to a third of the time that blocks take.
std::vector<float> Conversion::dequantised(size_t index, const std::vector<uint8_t>& bytes) const {
    const WeightType type = tensors_[index].type;
    const Matrix matrix = as_matrix(*items_[index].source);
    const size_t stride = row_bytes(type, matrix.n_cols);
    std::vector<float> out(matrix.n_rows * matrix.n_cols);
    pool_.parallel_for(matrix.n_rows, 16, [&](size_t from, size_t to, size_t) noexcept {
        for (size_t row = from; row < to; ++row) {
            dequantize_row(type, bytes.data() + row * stride, matrix.n_cols,
                           out.data() + row * matrix.n_cols);
        }
    });
    return out;
}

/// Lets the layer use other rows in the place of a tensor's own.
void Conversion::replace(const Item& item, WeightType type, const uint8_t* rows) {
    LayerWeights& layer = weights_.layers[item.layer];
    const uint8_t* begin = item.source->bytes.data();
    for (Matrix* matrix : {&layer.q, &layer.k, &layer.v, &layer.o, &layer.gate, &layer.up,
                           &layer.down, &layer.ple_gate, &layer.ple_projection, &layer.expert_gate,
                           &layer.expert_up, &layer.expert_down}) {
        const uint8_t* data = matrix->data;
        if (data == nullptr || data < begin || data >= begin + item.source->bytes.size()) continue;
        const size_t first_row = static_cast<size_t>(data - begin) / matrix->row_stride_bytes;
        matrix->type = type;
        matrix->row_stride_bytes = row_bytes(type, matrix->n_cols);
        matrix->data = rows + first_row * matrix->row_stride_bytes;
    }
}

/// All tensors of a layer that read one input; its moments are given up afterwards.
Status Conversion::convert_input(size_t layer, LayerStatistics& statistics, size_t input,
                                 std::vector<std::vector<uint8_t>>& kept) {
    InputKnowledge knowledge;
    InputMoments none;
    InputMoments& moments = input < kLayerInputs ? statistics.inputs[input] : none;
    if (input < kLayerInputs) knowledge.squares = statistics.squares[input];
    if (moments.present() &&
        prepare_moments(moments, options_.damping, moments.k <= kWidestKeptGram)) {
        knowledge.moments = &moments;
    }
    for (size_t i = 0; i < items_.size(); ++i) {
        const Item& item = items_[i];
        const bool is_vector = item.layer != layer || item.source->n_dims < 2 ||
                               !weight_type_info(tensors_[i].type).is_block;
        if (is_vector) {
            if (item.layer == layer && input == kLayerInputs) GEMLET_TRY(convert(i, {}, nullptr));
            continue;
        }
        if (kept[i].empty() && input_of_item(item) == input) {
            GEMLET_TRY(convert(i, knowledge, &kept[i]));
        }
    }
    moments = {};
    return {};
}

Status Conversion::convert_layer(size_t layer, CalibrationRunner& runner) {
    bool all_done = true;
    for (size_t i = 0; i < items_.size(); ++i) {
        if (items_[i].layer == layer) all_done = all_done && file_->is_done(i);
    }
    LayerStatistics statistics;
    if (!all_done) GEMLET_TRY(runner.observe(layer, gather(), statistics));
    std::vector<std::vector<uint8_t>> kept(items_.size());
    for (size_t input = 0; input <= kLayerInputs; ++input) {
        GEMLET_TRY(convert_input(layer, statistics, input, kept));
    }
    size_t n_weights = 0;
    for (size_t i = 0; i < items_.size(); ++i) {
        if (!kept[i].empty()) n_weights += items_[i].source->n_elements();
    }
    std::vector<std::vector<float>> floats(items_.size());
    for (size_t i = 0; i < items_.size(); ++i) {
        if (kept[i].empty()) continue;
        if (n_weights > kMostFloats) {  // the experts of a mixture
            replace(items_[i], tensors_[i].type, kept[i].data());
            continue;
        }
        floats[i] = dequantised(i, kept[i]);
        kept[i] = {};
        replace(items_[i], WeightType::f32, reinterpret_cast<const uint8_t*>(floats[i].data()));
    }
    return runner.advance(layer);
}

Status Conversion::convert_head(CalibrationRunner& runner) {
    InputMoments moments;
    std::vector<float> squares;
    GEMLET_TRY(runner.observe_head(Gather::squares, moments, squares));
    for (size_t i = 0; i < items_.size(); ++i) {
        if (items_[i].role == Role::embedding) GEMLET_TRY(convert(i, {nullptr, squares}, nullptr));
    }
    return {};
}

Status Conversion::run(std::vector<CalibrationPrompt> prompts) {
    const auto of_model = [](const Item& item) {
        return item.layer == SIZE_MAX && item.role != Role::embedding;
    };
    const auto of_layers = [](const Item& item) { return item.layer != SIZE_MAX; };
    const auto of_embedding = [](const Item& item) { return item.role == Role::embedding; };
    GEMLET_TRY(convert_alone(of_model));
    if (prompts.empty() || options_.method == Method::round) {
        GEMLET_TRY(convert_alone(of_layers));
        GEMLET_TRY(convert_alone(of_embedding));
        return file_->finish();
    }
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

}  // namespace

Result<QuantizeReport> quantize_to_gguf(const Checkpoint& source, const std::string& path,
                                        const QuantizeOptions& options,
                                        std::vector<CalibrationPrompt> prompts,
                                        const GgufVocabulary* vocabulary) {
    return guard([&]() -> Result<QuantizeReport> {
        if (source.config().is_qat) {
            return Status(StatusCode::unsupported, "a QAT mobile checkpoint is quantised already",
                          source.path());
        }
        if (options.method == Method::gptq && !have_linear_algebra()) {
            return Status(StatusCode::unsupported,
                          "this build has no linear algebra (GEMLET_QUANT): use search", "gptq");
        }
        Result<TextWeights> weights = bind_text_weights(source, source.config());
        GEMLET_TRY(weights);
        const Result<TextWeights> exact = bind_text_weights(source, source.config());
        GEMLET_TRY(exact);
        ThreadPoolOptions threads;
        threads.n_threads = options.n_threads;
        Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(threads);
        GEMLET_TRY(pool);
        Conversion conversion(source, options, *weights, *exact, **pool);
        GEMLET_TRY(conversion.plan(vocabulary));
        GEMLET_TRY(conversion.open(path, rows_of(prompts)));
        GEMLET_TRY(conversion.run(std::move(prompts)));
        return conversion.report();
    });
}

}  // namespace gemlet
