// The GGUF parser on small files in memory: what sound ones say, and that each rule of the format
// refuses the file that breaks it and nothing else.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>

#include "core/files/gguf_parse.h"
#include "tests/core/gguf_writer.h"

namespace gemlet {
namespace {

constexpr uint64_t kHuge = uint64_t{1} << 63U;

// Two values, one q4_0 matrix of 2 rows and one f32 vector.
GgufWriter small_model() {
    GgufWriter file;
    file.values = {gguf_text("general.architecture", "gemma4"), gguf_u32("gemma4.block_count", 3),
                   gguf_texts("tokens", {"a", "", "\xE2\x96\x81x"})};
    file.tensors = {{"matrix", {32, 2}, 2, 0}, {"vector", {5}, 0, 64}};
    file.n_data_bytes = 64 + 20;
    return file;
}

Status status_of_file(const std::string& bytes) {
    // A copy of exactly this size, so that a sanitizer sees a read beyond the end.
    const auto copy = std::make_unique<uint8_t[]>(bytes.size());
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    return parse_gguf({copy.get(), bytes.size()}, "file", 0).error();
}
Status status_of_file(const GgufWriter& file) { return status_of_file(file.bytes()); }

void expect_refused(const GgufWriter& file, StatusCode code, std::string_view subject) {
    const Status status = status_of_file(file);
    EXPECT_EQ(status.code(), code) << status.message();
    EXPECT_EQ(status.subject(), subject) << status.message();
}

GgufWriter with_value(const std::string& value) {
    GgufWriter file = small_model();
    file.values.push_back(value);
    return file;
}

GgufWriter with_tensor(const GgufTensorEntry& tensor) {
    GgufWriter file;
    file.tensors = {tensor};
    file.n_data_bytes = 4096;
    return file;
}

TEST(Gguf, reads_values_and_tensors) {
    for (const uint32_t version : {2U, 3U}) {
        GgufWriter file = small_model();
        file.version = version;
        const std::string bytes = file.bytes();
        const auto directory = parse_gguf(as_bytes(bytes), "file", 7);
        ASSERT_TRUE(directory) << directory.error().message();
        const GgufValue* tokens = find_value(directory->values, "tokens");
        ASSERT_NE(tokens, nullptr);
        EXPECT_EQ(tokens->as_strings(), (std::vector<std::string_view>{"a", "", "\xE2\x96\x81x"}));
        EXPECT_EQ(find_value(directory->values, "gemma4.block_count")->as_integer(), 3);
        EXPECT_EQ(find_value(directory->values, "gemma4.block_coun"), nullptr);

        const TensorView* matrix = find_tensor(directory->tensors, "matrix");
        ASSERT_NE(matrix, nullptr);
        EXPECT_EQ(matrix->type, WeightType::q4_0);
        EXPECT_EQ(matrix->n_dims, 2U);
        EXPECT_EQ(matrix->shape[0], 2U);  // slowest first: two rows of 32
        EXPECT_EQ(matrix->shape[1], 32U);
        EXPECT_EQ(matrix->bytes.size(), 36U);
        EXPECT_EQ(matrix->bytes[0], 1);  // the first byte of the data
        EXPECT_EQ(matrix->file_index, 7U);
        const TensorView* vector = find_tensor(directory->tensors, "vector");
        ASSERT_NE(vector, nullptr);
        EXPECT_EQ(vector->bytes.data(), matrix->bytes.data() + 64);
        EXPECT_EQ(vector->n_elements(), 5U);
    }
}

TEST(Gguf, reads_every_value_type) {
    GgufWriter file;
    file.values = {gguf_scalar<uint8_t>("u8", 0, 200),
                   gguf_scalar<int8_t>("i8", 1, -3),
                   gguf_scalar<uint16_t>("u16", 2, 60000),
                   gguf_scalar<int16_t>("i16", 3, -300),
                   gguf_scalar<uint32_t>("u32", 4, 4000000000U),
                   gguf_scalar<int32_t>("i32", 5, -70000),
                   gguf_scalar<float>("f32", 6, 0.5F),
                   gguf_scalar<uint8_t>("bool", 7, 1),
                   gguf_text("text", std::string_view("a\0b", 3)),
                   gguf_scalar<uint64_t>("u64", 10, kHuge),
                   gguf_scalar<int64_t>("i64", 11, -5),
                   gguf_scalar<double>("f64", 12, 0.25),
                   gguf_array("bools", 7, 2, std::string_view("\1\0", 2)),
                   gguf_array("none", 9 - 1, 0, ""),
                   gguf_array("halves", 6, 2, ByteWriter().put(1.5F).put(-1.5F).bytes())};
    const std::string bytes = file.bytes();
    const auto directory = parse_gguf(as_bytes(bytes), "file", 0);
    ASSERT_TRUE(directory) << directory.error().message();
    const auto value = [&](std::string_view key) { return *find_value(directory->values, key); };
    EXPECT_EQ(value("u8").as_integer(), 200);
    EXPECT_EQ(value("i8").as_integer(), -3);
    EXPECT_EQ(value("u16").as_integer(), 60000);
    EXPECT_EQ(value("i16").as_integer(), -300);
    EXPECT_EQ(value("u32").as_integer(), 4000000000);
    EXPECT_EQ(value("i32").as_integer(), -70000);
    EXPECT_EQ(value("i64").as_integer(), -5);
    EXPECT_EQ(value("u64").as_integer(), std::nullopt);  // does not fit
    EXPECT_EQ(value("u64").as_number(), 9223372036854775808.0);
    EXPECT_EQ(value("f32").as_number(), 0.5);
    EXPECT_EQ(value("f64").as_number(), 0.25);
    EXPECT_EQ(value("f32").as_integer(), std::nullopt);
    EXPECT_EQ(value("i32").as_number(), -70000.0);
    EXPECT_EQ(value("bool").as_bool(), true);
    EXPECT_EQ(value("bool").as_integer(), std::nullopt);
    EXPECT_EQ(value("u8").as_bool(), std::nullopt);
    EXPECT_EQ(value("text").as_string(), std::string_view("a\0b", 3));
    EXPECT_EQ(value("text").as_integers(), std::nullopt);
    EXPECT_EQ(value("text").as_strings(), std::nullopt);
    EXPECT_EQ(value("bools").as_integers(), (std::vector<int64_t>{1, 0}));
    EXPECT_EQ(value("bools").as_bool(), std::nullopt);
    EXPECT_EQ(value("u16").as_integers(), (std::vector<int64_t>{60000}));
    EXPECT_EQ(value("halves").as_numbers(), (std::vector<double>{1.5, -1.5}));
    EXPECT_EQ(value("halves").as_integers(), std::nullopt);
    EXPECT_EQ(value("halves").as_integer(), std::nullopt);
    EXPECT_EQ(value("none").as_strings(), std::vector<std::string_view>{});
}

TEST(Gguf, opens_without_tensors) {
    GgufWriter file;
    file.values = {gguf_u32("a", 1)};
    EXPECT_TRUE(status_of_file(file).ok());
    file.values.clear();
    EXPECT_TRUE(status_of_file(file).ok());  // 24 bytes
}

TEST(Gguf, refuses_the_file_cut_at_every_byte) {
    const std::string whole = small_model().bytes();
    ASSERT_TRUE(status_of_file(whole).ok());
    for (size_t size = 0; size < whole.size(); ++size) {
        const Status status = status_of_file(whole.substr(0, size));
        EXPECT_EQ(status.code(), StatusCode::corrupt) << "cut to " << size;
        EXPECT_FALSE(status.subject().empty());
    }
}

TEST(Gguf, survives_every_byte_and_every_field_set_to_extremes) {
    const std::string whole = small_model().bytes();
    for (size_t at = 0; at < whole.size(); ++at) {
        for (const int byte : {0, 1, 0x7F, 0x80, 0xFF}) {
            std::string changed = whole;
            changed[at] = static_cast<char>(byte);
            (void)status_of_file(changed);
        }
        for (const uint64_t field : {uint64_t{0}, kHuge - 1, kHuge, ~uint64_t{0}, ~uint64_t{0} - 31,
                                     uint64_t{1} << 32U, uint64_t{1} << 30U}) {
            std::string changed = whole;
            std::memcpy(changed.data() + at, &field, std::min<size_t>(8, whole.size() - at));
            (void)status_of_file(changed);
        }
    }
}

TEST(Gguf, tells_other_files_versions_and_byte_orders_apart) {
    GgufWriter file = small_model();
    file.magic = "GGML";
    EXPECT_STREQ(status_of_file(file).text(), "not a GGUF file");
    EXPECT_STREQ(status_of_file(std::string()).text(), "not a GGUF file");
    file = small_model();
    for (const uint32_t version : {0U, 1U, 4U, 0xFFFFFFFFU}) {
        file.version = version;
        expect_refused(file, StatusCode::unsupported, "file");
    }
    file.version = 0x03000000;
    EXPECT_STREQ(status_of_file(file).text(), "GGUF file in big-endian byte order");
    EXPECT_EQ(status_of_file(file).code(), StatusCode::unsupported);
}

TEST(Gguf, bounds_counts_by_the_bytes_that_remain) {
    for (const uint64_t extra : {uint64_t{100}, uint64_t{65536}, kHuge, ~uint64_t{0} - 10}) {
        GgufWriter file = small_model();
        file.extra_values = extra;
        expect_refused(file, StatusCode::corrupt, "file");
        file = small_model();
        file.extra_tensors = extra;
        expect_refused(file, StatusCode::corrupt, "file");
    }
}

TEST(Gguf, refuses_bad_keys_and_values) {
    expect_refused(with_value(gguf_u32("", 1)), StatusCode::corrupt, "file");
    expect_refused(with_value(gguf_u32(std::string(65536, 'k'), 1)), StatusCode::corrupt, "file");
    EXPECT_TRUE(status_of_file(with_value(gguf_u32(std::string(65535, 'k'), 1))).ok());
    expect_refused(with_value(gguf_u32("tokens", 1)), StatusCode::corrupt, "tokens");  // twice
    for (const uint32_t type : {13U, 255U, 0x80000000U}) {
        expect_refused(with_value(gguf_value("odd", type, "12345678")), StatusCode::corrupt, "odd");
    }
    for (const char* byte : {"\x02", "\xFF"}) {
        expect_refused(with_value(gguf_value("flag", 7, byte)), StatusCode::corrupt, "flag");
        expect_refused(with_value(gguf_array("flags", 7, 1, byte)), StatusCode::corrupt, "flags");
    }
    for (const uint64_t length : {uint64_t{5000}, kHuge, ~uint64_t{0}, ~uint64_t{0} - 7}) {
        expect_refused(with_value(gguf_scalar("text", 8, length)), StatusCode::corrupt, "text");
        expect_refused(with_value(gguf_array("texts", 8, 1, ByteWriter().put(length).bytes())),
                       StatusCode::corrupt, "texts");
        for (const uint32_t element : {0U, 7U, 6U, 8U, 12U}) {
            expect_refused(with_value(gguf_array("list", element, length, "")), StatusCode::corrupt,
                           "list");
        }
    }
    // An array of arrays, and of a type that does not exist.
    const std::string inner = ByteWriter().put<uint32_t>(0).put<uint64_t>(0).bytes();
    expect_refused(with_value(gguf_array("nested", 9, 1, inner)), StatusCode::corrupt, "nested");
    expect_refused(with_value(gguf_array("odd", 13, 1, inner)), StatusCode::corrupt, "odd");
}

TEST(Gguf, checks_the_alignment) {
    for (const uint32_t alignment : {0U, 3U, 48U, 0xFFFFFFFFU}) {
        expect_refused(with_value(gguf_u32("general.alignment", alignment)), StatusCode::corrupt,
                       "general.alignment");
    }
    expect_refused(with_value(gguf_text("general.alignment", "32")), StatusCode::corrupt,
                   "general.alignment");
    // 2^31 is a power of two, but puts the data behind the end.
    expect_refused(with_value(gguf_u32("general.alignment", 0x80000000U)), StatusCode::corrupt,
                   "file");
    GgufWriter file = with_value(gguf_scalar<uint64_t>("general.alignment", 10, 64));
    file.alignment = 64;
    EXPECT_TRUE(status_of_file(file).ok()) << status_of_file(file).message();
    file.tensors[1].offset = 96;  // a multiple of 32 only
    file.n_data_bytes = 256;
    expect_refused(file, StatusCode::corrupt, "vector");
}

TEST(Gguf, names_tensors_of_types_it_refuses) {
    for (const uint32_t type :
         {4U, 5U, 9U, 15U, 19U, 29U, 31U, 32U, 33U, 36U, 37U, 38U, 43U, 255U, 0xFFFFFFFFU}) {
        const Status status = status_of_file(with_tensor({"t", {256}, type, 0}));
        EXPECT_EQ(status.code(), StatusCode::unsupported) << type;
        EXPECT_EQ(status.subject(), "t");
        EXPECT_EQ(status.number(), type);
    }
}

TEST(Gguf, knows_the_size_of_every_type_it_takes) {
    struct Row {
        uint32_t id;
        uint64_t n_weights;
        size_t n_bytes;
    };
    // Columns of the format's own table: id, weights and bytes of one block.
    const std::vector<Row> rows = {{0, 1, 4},      {1, 1, 2},      {30, 1, 2},     {2, 32, 18},
                                   {3, 32, 20},    {6, 32, 22},    {7, 32, 24},    {8, 32, 34},
                                   {10, 256, 84},  {11, 256, 110}, {12, 256, 144}, {13, 256, 176},
                                   {14, 256, 210}, {16, 256, 66},  {17, 256, 74},  {18, 256, 98},
                                   {20, 32, 18},   {21, 256, 110}, {22, 256, 82},  {23, 256, 136},
                                   {34, 256, 54},  {35, 256, 66},  {39, 32, 17},   {40, 64, 36},
                                   {41, 128, 18},  {42, 64, 18},   {24, 1, 1},     {25, 1, 2},
                                   {26, 1, 4},     {27, 1, 8},     {28, 1, 8}};
    for (const Row& row : rows) {
        const std::string bytes = with_tensor({"t", {row.n_weights, 3}, row.id, 0}).bytes();
        const auto directory = parse_gguf(as_bytes(bytes), "file", 0);
        ASSERT_TRUE(directory) << row.id << directory.error().message();
        EXPECT_EQ(directory->tensors[0].bytes.size(), row.n_bytes * 3) << row.id;
        if (row.n_weights == 1) continue;
        // Rows of half blocks, even where the whole tensor has a whole number of blocks.
        expect_refused(with_tensor({"t", {row.n_weights / 2, 4}, row.id, 0}), StatusCode::corrupt,
                       "t");
    }
}

TEST(Gguf, refuses_bad_names_and_shapes) {
    expect_refused(with_tensor({"", {1}, 0, 0}), StatusCode::corrupt, "file");
    expect_refused(with_tensor({std::string(64, 'n'), {1}, 0, 0}), StatusCode::corrupt, "file");
    EXPECT_TRUE(status_of_file(with_tensor({std::string(63, 'n'), {1}, 0, 0})).ok());
    EXPECT_TRUE(status_of_file(with_tensor({"t", {}, 0, 0})).ok());  // a scalar
    EXPECT_TRUE(status_of_file(with_tensor({"t", {2, 2, 2, 2}, 0, 0})).ok());
    expect_refused(with_tensor({"t", {1, 1, 1, 1, 1}, 0, 0}), StatusCode::corrupt, "t");
    expect_refused(with_tensor({"t", {}, 2, 0}), StatusCode::corrupt, "t");  // no whole block
    expect_refused(with_tensor({"t", {0}, 0, 0}), StatusCode::corrupt, "t");
    expect_refused(with_tensor({"t", {4, 0}, 0, 0}), StatusCode::corrupt, "t");
    const uint64_t root = uint64_t{1} << 32U;
    for (const std::vector<uint64_t>& dims : {std::vector<uint64_t>{kHuge},
                                              {~uint64_t{0}},
                                              {kHuge - 1},
                                              {root, root},
                                              {root, root / 2},
                                              {root / 2, root / 2, 2, 2},
                                              {1U << 16U, 1U << 16U, 1U << 16U, 1U << 15U}}) {
        expect_refused(with_tensor({"t", dims, 0, 0}), StatusCode::corrupt, "t");
    }
    // Elements can be counted, bytes cannot: 2^61 doubles, and blocks of 34 bytes.
    expect_refused(with_tensor({"t", {uint64_t{1} << 61U}, 28, 0}), StatusCode::corrupt, "t");
    expect_refused(with_tensor({"t", {uint64_t{1} << 62U}, 8, 0}), StatusCode::corrupt, "t");
}

TEST(Gguf, refuses_tensors_out_of_place) {
    EXPECT_TRUE(status_of_file(with_tensor({"t", {1024}, 0, 0})).ok());  // fills the data exactly
    expect_refused(with_tensor({"t", {1025}, 0, 0}), StatusCode::corrupt, "t");
    expect_refused(with_tensor({"t", {1024}, 0, 32}), StatusCode::corrupt, "t");
    for (const uint64_t offset :
         {uint64_t{4}, uint64_t{4096}, uint64_t{8192}, kHuge, ~uint64_t{0} - 31, ~uint64_t{0}}) {
        expect_refused(with_tensor({"t", {1}, 0, offset}), StatusCode::corrupt, "t");
    }
    GgufWriter file = with_tensor({"a", {9}, 0, 0});  // 36 bytes
    file.tensors.push_back({"b", {1}, 0, 32});
    expect_refused(file, StatusCode::corrupt, "b");
    file.tensors[1].offset = 64;
    EXPECT_TRUE(status_of_file(file).ok());
    file.tensors[1].offset = 128;  // a hole is wasteful, not dangerous
    EXPECT_TRUE(status_of_file(file).ok());
    file.tensors[1].name = "a";
    expect_refused(file, StatusCode::corrupt, "a");
    // Listed in another order than they lie.
    file = with_tensor({"b", {1}, 0, 64});
    file.tensors.push_back({"a", {17}, 0, 0});
    expect_refused(file, StatusCode::corrupt, "b");
    file.tensors[1].dims = {16};
    EXPECT_TRUE(status_of_file(file).ok());
}

}  // namespace
}  // namespace gemlet
