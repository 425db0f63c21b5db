// Attention, in floats and in integers: every variant gives the bits of the scalar one; the scalar
// one matches a softmax in double precision; splitting queries, wrapping the ring and garbage
// outside the ranges change nothing.
#include "kernels/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention_int/attention_int.h"
#include "quant/formats/float16.h"
#include "tests/kernels/support.h"

#ifdef GEMLET_EMULATED_KERNELS
namespace gemlet {
extern const AttentionVariant attention_avx512_emulated;
extern const AttentionVariant attention_int_avxvnni_emulated;
extern const AttentionVariant attention_int_avx512_emulated;
extern const AttentionVariant attention_int_avx512vnni_emulated;
}  // namespace gemlet
#endif

namespace gemlet {
namespace {

using test::float_bits;
using test::GuardedBuffer;
using test::Random;
using Tested = test::TestedVariant<AttentionVariant>;

// Products in floats or in integers, and the cache types that go with them.
struct Arithmetic {
    const char* name;
    const AttentionVariant* scalar;
    std::vector<KvType> types;
};

Arithmetic in_floats() {
    return {"floats", attention_variants().back(), {KvType::f32, KvType::f16, KvType::i8}};
}

Arithmetic in_integers() { return {"integers", attention_int_variants().back(), {KvType::i8}}; }

struct Param {
    Arithmetic arithmetic;
    Tested tested;
};

std::vector<Param> all_variants() {
    std::vector<const AttentionVariant*> floats;
    std::vector<const AttentionVariant*> integers;
#ifdef GEMLET_EMULATED_KERNELS
    floats.push_back(&attention_avx512_emulated);
    integers = {&attention_int_avxvnni_emulated, &attention_int_avx512_emulated,
                &attention_int_avx512vnni_emulated};
#endif
    std::vector<Param> all;
    for (const Tested& tested : test::tested_variants(attention_variants(), floats)) {
        all.push_back({in_floats(), tested});
    }
    for (const Tested& tested : test::tested_variants(attention_int_variants(), integers)) {
        all.push_back({in_integers(), tested});
    }
    return all;
}

struct Range {
    int32_t first;
    int32_t last;
};

const char* type_name(KvType type) {
    return type == KvType::f32 ? "f32" : type == KvType::f16 ? "f16" : "i8";
}

// A cache whose slots hold the positions end - n_slots .. end - 1 and queries over it. Keys and
// values depend on the position alone, so that caches of different sizes agree.
class Problem {
  public:
    Problem(KvType type, size_t head_dim, size_t n_slots, int32_t end, std::vector<Range> ranges,
            uint32_t seed)
        : type_(type),
          head_dim_(head_dim),
          n_slots_(n_slots),
          element_bytes_(type == KvType::f32   ? 4U
                         : type == KvType::f16 ? 2U
                                               : 1U),
          k_(n_slots * head_dim * element_bytes_, 0xFF),  // all NaN in f32 and f16
          v_(n_slots * head_dim * element_bytes_, 0xFF),
          k_scale_(n_slots),
          v_scale_(n_slots),
          q_(ranges.size() * head_dim),
          scratch_(std::max(attention_scratch_floats(ranges.size(), head_dim),
                            attention_int_scratch_floats(ranges.size(), head_dim))),
          ranges_(std::move(ranges)) {
        for (const Range& range : ranges_) {
            first_.push_back(range.first);
            last_.push_back(range.last);
        }
        std::fill_n(k_scale_.data(), n_slots, std::numeric_limits<float>::quiet_NaN());
        std::fill_n(v_scale_.data(), n_slots, std::numeric_limits<float>::quiet_NaN());
        const int32_t begin = *std::min_element(first_.begin(), first_.end());
        for (int32_t position = begin; position < end; ++position) fill(position, seed);
        Random random(seed);
        for (size_t i = 0; i < q_.size(); ++i) q_[i] = random.uniform(-1.0F, 1.0F);
    }

    AttentionArgs args(float* out) {
        const bool scaled = type_ == KvType::i8;
        return {.q = q_.data(),
                .q_stride = head_dim_,
                .out = out,
                .out_stride = head_dim_,
                .n_queries = ranges_.size(),
                .head_dim = head_dim_,
                .first = first_.data(),
                .last = last_.data(),
                .kv_type = type_,
                .k = k_.data(),
                .v = v_.data(),
                .slot_stride_bytes = head_dim_ * element_bytes_,
                .n_slots = n_slots_,
                .k_scale = scaled ? k_scale_.data() : nullptr,
                .v_scale = scaled ? v_scale_.data() : nullptr,
                .scale_stride = 1,
                .scratch = scratch_.data()};
    }
    std::vector<float> run(const AttentionVariant& variant) {
        std::fill_n(scratch_.data(), scratch_.size(), test::canary());
        GuardedBuffer<float> out(q_.size());
        variant.run(args(out.data()));
        return {out.data(), out.data() + out.size()};
    }

    /// In three steps, each cut into parts of at most so many blocks, queries and components, whose
    /// last one comes first.
    std::vector<float> run_shared(const AttentionVariant& variant, size_t n_blocks,
                                  size_t n_queries, size_t n_components) {
        const size_t all_blocks = attention_blocks(args(nullptr));
        GuardedBuffer<float> out(q_.size());
        GuardedBuffer<float> memory(attention_shared_floats(ranges_.size(), head_dim_, all_blocks));
        std::fill_n(memory.data(), memory.size(), test::canary());
        const auto step = [&](auto* function, size_t n, size_t part) {
            for (size_t i = (n + part - 1) / part; i-- > 0;) {
                std::fill_n(scratch_.data(), scratch_.size(), test::canary());
                function(args(out.data()), {memory.data(), i * part, std::min(n, (i + 1) * part)});
            }
        };
        step(variant.score, all_blocks, n_blocks);
        step(variant.weigh, ranges_.size(), n_queries);
        step(variant.add, head_dim_, n_components);
        return {out.data(), out.data() + out.size()};
    }

    double key(int32_t position, size_t d) const { return at(k_, k_scale_, position, d); }
    double value(int32_t position, size_t d) const { return at(v_, v_scale_, position, d); }
    double value_scale(int32_t position) const {
        return v_scale_[static_cast<size_t>(position) % n_slots_];
    }
    double q(size_t query, size_t d) const { return q_[query * head_dim_ + d]; }
    void poison(int32_t position) {
        const size_t slot = static_cast<size_t>(position) % n_slots_;
        memset(k_.data() + slot * head_dim_ * element_bytes_, 0xFF, head_dim_ * element_bytes_);
        memset(v_.data() + slot * head_dim_ * element_bytes_, 0xFF, head_dim_ * element_bytes_);
        k_scale_[slot] = v_scale_[slot] = std::numeric_limits<float>::quiet_NaN();
    }
    const std::vector<Range>& ranges() const { return ranges_; }
    size_t head_dim() const { return head_dim_; }
    size_t n_queries() const { return ranges_.size(); }

  private:
    void fill(int32_t position, uint32_t seed) {
        Random random(seed + 77 + static_cast<uint32_t>(position));
        const size_t slot = static_cast<size_t>(position) % n_slots_;
        for (size_t d = 0; d < head_dim_; ++d) {
            put(k_, slot * head_dim_ + d, random);
            put(v_, slot * head_dim_ + d, random);
        }
        k_scale_[slot] = random.uniform(0.001F, 0.01F);
        v_scale_[slot] = random.uniform(0.001F, 0.01F);
    }
    void put(GuardedBuffer<uint8_t>& to, size_t i, Random& random) const {
        const float v = random.uniform(-1.0F, 1.0F);
        const uint16_t half = f32_to_f16(v);
        if (type_ == KvType::f32) memcpy(to.data() + 4 * i, &v, 4);
        if (type_ == KvType::f16) memcpy(to.data() + 2 * i, &half, 2);
        if (type_ == KvType::i8) to[i] = random.byte();
    }
    double at(const GuardedBuffer<uint8_t>& from, const GuardedBuffer<float>& scale,
              int32_t position, size_t d) const {
        const size_t slot = static_cast<size_t>(position) % n_slots_;
        const size_t i = slot * head_dim_ + d;
        float v = 0.0F;
        uint16_t half = 0;
        if (type_ == KvType::f32) memcpy(&v, from.data() + 4 * i, 4);
        if (type_ == KvType::f16) {
            memcpy(&half, from.data() + 2 * i, 2);
            v = f16_to_f32(half);
        }
        if (type_ == KvType::i8) {
            return static_cast<double>(static_cast<int8_t>(from[i])) *
                   static_cast<double>(scale[slot]);
        }
        return v;
    }

    KvType type_;
    size_t head_dim_;
    size_t n_slots_;
    size_t element_bytes_;
    GuardedBuffer<uint8_t> k_;
    GuardedBuffer<uint8_t> v_;
    GuardedBuffer<float> k_scale_;
    GuardedBuffer<float> v_scale_;
    GuardedBuffer<float> q_;
    GuardedBuffer<float> scratch_;
    std::vector<Range> ranges_;
    std::vector<int32_t> first_;
    std::vector<int32_t> last_;
};

void expect_same_bits(const std::vector<float>& got, const std::vector<float>& want) {
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_EQ(float_bits(got[i]), float_bits(want[i]))
            << "output " << i << ": " << got[i] << " and " << want[i];
    }
}

// `n_heads` queries for each of n_rows positions from `start` on, causal, with a window.
std::vector<Range> causal(int32_t start, int32_t n_rows, size_t n_heads, int32_t window) {
    std::vector<Range> ranges;
    for (int32_t row = 0; row < n_rows; ++row) {
        const int32_t last = start + row + 1;
        ranges.insert(ranges.end(), n_heads, Range{std::max(0, last - window), last});
    }
    return ranges;
}

struct Case {
    const char* name;
    size_t head_dim;
    size_t n_slots;
    int32_t end;
    std::vector<Range> ranges;
};

std::vector<Case> cases() {
    constexpr int32_t kAll = 1 << 20;
    std::vector<Case> all = {
        {"one key", 16, 4, 1, causal(0, 1, 1, kAll)},
        {"one key in mid-block", 256, 64, 46, {{45, 46}}},
        {"decode", 256, 128, 100, causal(99, 1, 8, kAll)},
        {"decode, window in mid-block", 256, 64, 301, causal(300, 1, 4, 50)},
        {"ring wraps inside a block", 64, 45, 400, causal(380, 5, 2, 40)},
        {"prefill from the start", 256, 64, 20, causal(0, 20, 3, kAll)},
        {"prefill across blocks", 128, 256, 90, causal(27, 63, 1, kAll)},
        {"prefill with a window", 32, 200, 170, causal(120, 32, 2, 33)},
        {"large head", 512, 80, 71, causal(66, 5, 2, kAll)},
        {"odd head", 80, 40, 37, causal(30, 7, 1, kAll)},
        {"most queries", 48, 96, 95, causal(31, 64, 1, kAll)},
        {"mixed ranges", 64, 160, 160, {{0, 160}, {64, 65}, {31, 33}, {100, 101}, {5, 90}}},
        {"ranges apart", 64, 300, 300, {{3, 40}, {200, 290}, {201, 202}}},
        {"high positions", 32, 64, 2147483647, causal(2147483640, 7, 1, 30)},
    };
    for (size_t n = 2; n <= 9; ++n) all.push_back({"queries", 32, 70, 50, causal(49, 1, n, kAll)});
    return all;
}

class AttentionVariants : public testing::TestWithParam<Param> {};

INSTANTIATE_TEST_SUITE_P(attention, AttentionVariants, testing::ValuesIn(all_variants()),
                         [](const auto& param) {
                             return param.param.arithmetic.name + ("_" + param.param.tested.name());
                         });

TEST_P(AttentionVariants, give_the_bits_of_scalar) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam().tested);
    for (const KvType type : GetParam().arithmetic.types) {
        uint32_t seed = 11;
        for (const Case& c : cases()) {
            SCOPED_TRACE(std::string(c.name) + " " + type_name(type) + " seed " +
                         std::to_string(seed));
            Problem problem(type, c.head_dim, c.n_slots, c.end, c.ranges, seed++);
            expect_same_bits(problem.run(*GetParam().tested.variant),
                             problem.run(*GetParam().arithmetic.scalar));
        }
    }
}

TEST_P(AttentionVariants, give_the_same_bits_however_queries_are_split) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam().tested);
    const std::vector<Range> ranges = causal(55, 20, 2, 1000);
    Problem whole(GetParam().arithmetic.types.back(), 64, 128, 75, ranges, 21);
    const std::vector<float> want = whole.run(*GetParam().tested.variant);
    for (const size_t part : {1, 3, 7, 39}) {
        std::vector<float> got(want.size());
        for (size_t begin = 0; begin < ranges.size(); begin += part) {
            AttentionArgs args = whole.args(got.data() + begin * 64);
            args.q += begin * args.q_stride;
            args.first += begin;
            args.last += begin;
            args.n_queries = std::min(part, ranges.size() - begin);
            GetParam().tested.variant->run(args);
        }
        expect_same_bits(got, want);
    }
}

TEST_P(AttentionVariants, give_the_bits_of_scalar_when_workers_share_a_call) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam().tested);
    const AttentionVariant& variant = *GetParam().tested.variant;
    if (variant.score == nullptr) GTEST_SKIP() << "has no steps to share";
    for (const KvType type : GetParam().arithmetic.types) {
        uint32_t seed = 61;
        for (const Case& c : cases()) {
            SCOPED_TRACE(std::string(c.name) + " " + type_name(type) + " seed " +
                         std::to_string(seed));
            Problem problem(type, c.head_dim, c.n_slots, c.end, c.ranges, seed++);
            const std::vector<float> want = problem.run(*GetParam().arithmetic.scalar);
            expect_same_bits(problem.run_shared(variant, 1, 1, 16), want);
            expect_same_bits(problem.run_shared(variant, 3, 2, 48), want);
            expect_same_bits(problem.run_shared(variant, 1000, 64, 512), want);
        }
    }
}

TEST_P(AttentionVariants, give_the_same_bits_in_a_ring_of_any_size) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam().tested);
    const std::vector<Range> ranges = causal(200, 10, 3, 60);
    Problem wide(KvType::i8, 32, 512, 210, ranges, 22);
    const std::vector<float> want = wide.run(*GetParam().tested.variant);
    for (const size_t n_slots : {69, 70, 96, 101, 209}) {
        SCOPED_TRACE("slots " + std::to_string(n_slots));
        Problem ring(KvType::i8, 32, n_slots, 210, ranges, 22);
        expect_same_bits(ring.run(*GetParam().tested.variant), want);
    }
}

TEST_P(AttentionVariants, never_let_in_what_a_query_does_not_see) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam().tested);
    // Positions that only some queries see become NaN: the others keep their bits.
    for (const KvType type : GetParam().arithmetic.types) {
        const std::vector<Range> ranges = {{0, 50},  {0, 51},  {10, 51},
                                           {10, 52}, {20, 60}, {51, 60}};
        Problem problem(type, 32, 64, 60, ranges, 23);
        const std::vector<float> want = problem.run(*GetParam().tested.variant);
        problem.poison(5);
        problem.poison(51);
        const std::vector<float> got = problem.run(*GetParam().tested.variant);
        for (size_t query = 0; query < ranges.size(); ++query) {
            const bool hit = (ranges[query].first <= 5) || ranges[query].last > 51;
            EXPECT_EQ(std::isnan(got[query * 32]), hit) << query;
            if (hit) continue;
            for (size_t d = 0; d < 32; ++d) {
                EXPECT_EQ(float_bits(got[query * 32 + d]), float_bits(want[query * 32 + d]));
            }
        }
    }
}

TEST_P(AttentionVariants, may_write_over_the_queries) {
    GEMLET_SKIP_UNLESS_RUNS(GetParam().tested);
    Problem problem(GetParam().arithmetic.types.back(), 64, 64, 40, causal(36, 4, 2, 100), 24);
    const std::vector<float> want = problem.run(*GetParam().tested.variant);
    AttentionArgs args = problem.args(nullptr);
    std::vector<float> rows(args.q, args.q + want.size());
    args.q = rows.data();
    args.out = rows.data();
    GetParam().tested.variant->run(args);
    expect_same_bits(rows, want);
}

// With u = 2^-24. A dot of D products has D / 16 + 4 roundings, so scores err by
// e = (D / 16 + 4) u sum|q k|; int8 adds one of |s|. exp errs by 2u relative, its argument by u
// times its own size and at most twice e (score and maximum); later corrections add one rounding of
// at most 3u per block. Relative errors of the weights add up to r; the result errs by at most
// twice r (numerator and sum) plus one u per key, in units of the largest |v|.
// In integers a code is off by at most half a unit, 1 / 65534 of the largest element: scores err by
// sum|k| times that of q in addition, and the 32 factors of a block by that of the block's largest
// probability times scale; the largest probabilities of all blocks are at most the sum.
double bound_of(const Problem& problem, size_t query, bool integers) {
    const Range range = problem.ranges()[query];
    const auto dim = static_cast<double>(problem.head_dim());
    double largest_norm = 0.0;
    double largest_value = 0.0;
    double largest_q = 0.0;
    double largest_sum = 0.0;
    double largest_scale = 0.0;
    for (int32_t position = range.first; position < range.last; ++position) {
        double norm = 0.0;
        double sum = 0.0;
        for (size_t d = 0; d < problem.head_dim(); ++d) {
            sum += std::fabs(problem.key(position, d));
            largest_q = std::max(largest_q, std::fabs(problem.q(query, d)));
            norm += std::fabs(problem.q(query, d) * problem.key(position, d));
            largest_value = std::max(largest_value, std::fabs(problem.value(position, d)));
        }
        largest_norm = std::max(largest_norm, norm);
        largest_sum = std::max(largest_sum, sum);
        largest_scale = std::max(largest_scale, problem.value_scale(position));
    }
    const auto n_keys = static_cast<double>(range.last - range.first);
    const double n_blocks = n_keys / 32 + 2;
    const double u = 0x1p-24;
    const double half_unit = integers ? 1.0 / 65534 : 0.0;
    const double score = (dim / 16 + 5) * u * largest_norm + half_unit * largest_q * largest_sum;
    const double factors = 32 * half_unit * 128 * largest_scale;
    const double weight = 2 * score + 2 * u * largest_norm + 2 * u + 4 * u * n_blocks;
    return (2 * weight + (n_keys + 4) * u) * largest_value + factors;
}

void expect_softmax(const Arithmetic& arithmetic) {
    const bool integers = arithmetic.scalar == attention_int_variants().back();
    for (const KvType type : arithmetic.types) {
        for (const Case& c : cases()) {
            SCOPED_TRACE(std::string(c.name) + " " + type_name(type) + " seed 31");
            Problem problem(type, c.head_dim, c.n_slots, c.end, c.ranges, 31);
            const std::vector<float> got = problem.run(*arithmetic.scalar);
            for (size_t query = 0; query < problem.n_queries(); ++query) {
                const Range range = c.ranges[query];
                std::vector<double> scores;
                for (int32_t position = range.first; position < range.last; ++position) {
                    double score = 0.0;
                    for (size_t d = 0; d < c.head_dim; ++d) {
                        score += problem.q(query, d) * problem.key(position, d);
                    }
                    scores.push_back(score);
                }
                const double max = *std::max_element(scores.begin(), scores.end());
                double sum = 0.0;
                std::vector<double> want(c.head_dim);
                for (size_t i = 0; i < scores.size(); ++i) {
                    const double p = std::exp(scores[i] - max);
                    sum += p;
                    for (size_t d = 0; d < c.head_dim; ++d) {
                        want[d] += p * problem.value(range.first + static_cast<int32_t>(i), d);
                    }
                }
                const double bound = bound_of(problem, query, integers);
                for (size_t d = 0; d < c.head_dim; ++d) {
                    ASSERT_NEAR(got[query * c.head_dim + d], want[d] / sum, bound);
                }
            }
        }
    }
}

TEST(AttentionScalar, matches_softmax_in_double_precision) { expect_softmax(in_floats()); }

TEST(AttentionScalar, matches_softmax_in_integers) { expect_softmax(in_integers()); }

TEST(AttentionScalar, one_key_gives_its_value) {
    Problem problem(KvType::f16, 32, 8, 6, {{5, 6}}, 41);
    const std::vector<float> got = problem.run(*in_floats().scalar);
    for (size_t d = 0; d < 32; ++d) EXPECT_EQ(static_cast<double>(got[d]), problem.value(5, d));
}

}  // namespace
}  // namespace gemlet
