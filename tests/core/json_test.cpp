#include "core/json.h"

#include <gtest/gtest.h>

#include <clocale>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "core/json_events.h"

namespace gemlet {
namespace {

Json parsed(std::string_view text) {
    auto value = parse_json(text);
    EXPECT_TRUE(value) << text << ": " << value.error().message();
    return value ? std::move(*value) : Json();
}

void expect_refused(std::string_view text, int64_t offset = -1) {
    const Status status = parse_json(text).error();
    EXPECT_EQ(status.code(), StatusCode::corrupt) << text.substr(0, 80);
    EXPECT_GE(status.number(), 0) << text.substr(0, 80);
    EXPECT_LE(status.number(), static_cast<int64_t>(text.size())) << text.substr(0, 80);
    if (offset >= 0) {
        EXPECT_EQ(status.number(), offset) << text.substr(0, 80);
    }
}

TEST(Json, keeps_order_and_spelling) {
    const std::string text =
        R"({"z":[1,-0,0,-7,1.50,1E5,-0.0,18446744073709551615,)"
        R"(123456789012345678901234567890,-9223372036854775808,-9223372036854775809],)"
        R"("a":{"b":null,"":true,"c":false},"s":"x"})";
    const Json value = parsed(text);
    EXPECT_EQ(write_json(value), text);
    EXPECT_EQ(value.members[0].first, "z");
    const auto& numbers = value.find("z")->items;
    EXPECT_TRUE(numbers[1].is_integer);
    EXPECT_TRUE(std::signbit(numbers[1].number));  // -0
    EXPECT_FALSE(numbers[4].is_integer);
    EXPECT_EQ(numbers[4].number, 1.5);
    EXPECT_FALSE(numbers[5].is_integer);
    EXPECT_EQ(numbers[5].number, 100000);
    EXPECT_TRUE(numbers[8].is_integer);  // beyond 64 bits, yet spelled as one
    EXPECT_EQ(numbers[8].number, 123456789012345678901234567890.0);
    EXPECT_EQ(value.find("a")->find("")->boolean, true);
    EXPECT_EQ(value.find("b"), nullptr);
    EXPECT_EQ(numbers[0].find("a"), nullptr);
}

TEST(Json, reads_white_space_and_escapes) {
    EXPECT_EQ(write_json(parsed(" \t\r\n[ 1 , { } ] \n")), "[1,{}]");
    EXPECT_EQ(parsed(R"("\"\\\/\b\f\n\r\t\u0041\u20ac\ud83d\ude00")").text,
              "\"\\/\b\f\n\r\tA\xE2\x82\xAC\xF0\x9F\x98\x80");
    EXPECT_EQ(parsed(R"("\u0000")").text, std::string(1, '\0'));
}

TEST(Json, refuses_what_is_not_json) {
    for (const char* text :
         {"",        " ",        "{",          "[",       "[1",      "[1,",         "[1,]",
          "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",   "]",       "nul",         "True",
          "01",      "+1",       ".5",         "1.",      "1e",      "-",           "0x1",
          "NaN",     "Infinity", "'a'",        "\"a",     "\"\\x\"", "\"\\u12\"",   "1 2",
          "{} {}",   "[1] x",    "/* c */ 1",  "// c\n1", "\"\t\"",  "\"\x7F\x01\""}) {
        expect_refused(text);
    }
    expect_refused(std::string_view("{}\0{}", 5), 2);  // a NUL does not end the text
    expect_refused(std::string_view("\"a\0b\"", 5), 2);
    expect_refused("1e999");
    expect_refused("-1e999");
    EXPECT_EQ(parsed("1e-999").number, 0);
}

TEST(Json, refuses_bad_utf8) {
    for (const char* bytes :
         {"\x80", "\xC0\xAF", "\xC1\x81", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3", "\xE2\x82", "\xF0\x9F\x98"}) {
        expect_refused("\"" + std::string(bytes) + "\"");
        expect_refused("{\"" + std::string(bytes) + "\":1}");
    }
    expect_refused(R"("\ud800")");
    expect_refused(R"("\ud800\u0041")");
    expect_refused(R"("\udc00")");
}

TEST(Json, limits_nesting_without_recursion) {
    const auto nested = [](size_t depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    EXPECT_EQ(write_json(parsed(nested(kMaxJsonDepth))), nested(kMaxJsonDepth));
    expect_refused(nested(kMaxJsonDepth + 1));
    expect_refused(std::string(5'000'000, '['));
    std::string objects;
    for (size_t i = 0; i < 100'000; ++i) objects += "{\"a\":";
    expect_refused(objects);
    // Siblings do not count as depth.
    std::string wide = "[";
    for (int i = 0; i < 1000; ++i) wide += "[],";
    EXPECT_EQ(parsed(wide + "[]]").items.size(), 1001U);
}

TEST(Json, finds_members_named_twice_in_small_and_large_objects) {
    const auto object = [](size_t n, const std::string& last) {
        std::string text = "{";
        for (size_t i = 0; i < n; ++i) text += "\"k" + std::to_string(i) + "\":0,";
        return text + "\"" + last + "\":1}";
    };
    for (const size_t n : {size_t{2}, size_t{7}, size_t{8}, size_t{9}, size_t{100}}) {
        EXPECT_TRUE(parse_json(object(n, "other")));
        const Status status = parse_json(object(n, "k1")).error();
        EXPECT_EQ(status.code(), StatusCode::corrupt) << n;
        EXPECT_EQ(status.subject(), "k1");
        const auto merged = parse_json(object(n, "k1"), DuplicateKeys::last_wins);
        ASSERT_TRUE(merged);
        EXPECT_EQ(merged->members.size(), n);
        EXPECT_EQ(merged->members[1].first, "k1");  // in the first one's place
        EXPECT_EQ(merged->members[1].second.text, "1");
    }
    // The same name on two levels is none of this; escapes are.
    EXPECT_TRUE(parse_json(R"({"a":{"a":1}})"));
    EXPECT_FALSE(parse_json(R"({"a":1,"\u0061":2})"));
    const auto thrice = parse_json(R"({"a":1,"b":2,"a":3,"b":4,"a":5})", DuplicateKeys::last_wins);
    ASSERT_TRUE(thrice);
    EXPECT_EQ(write_json(*thrice), R"({"a":5,"b":4})");
}

TEST(Json, sorts_large_objects_instead_of_comparing_all_pairs) {
    std::string text = "{";
    for (int i = 0; i < 200'000; ++i) text += "\"" + std::to_string(i) + "\":0,";
    // All pairs would be 2e10 comparisons: the test would not end.
    EXPECT_EQ(parsed(text + "\"x\":0}").members.size(), 200'001U);
}

TEST(Json, points_at_the_fault) {
    expect_refused("[1, 2, x]", 8);  // one byte past the one that does not fit
    EXPECT_EQ(parse_json(R"({"a":1,"a":2} )").error().number(), 13);
}

TEST(Json, writes_text_with_the_escapes_it_needs) {
    const Json text = Json::of(std::string_view("\"\\/\b\f\n\r\t\x01\x1f\x7f\0", 12));
    EXPECT_EQ(write_json(text), "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\\u0000\"");
    const Json wide = Json::of("\xE2\x82\xAC\xF0\x9F\x98\x80\xC3\xA9");
    EXPECT_EQ(write_json(wide), "\"\xE2\x82\xAC\xF0\x9F\x98\x80\xC3\xA9\"");
    EXPECT_EQ(write_json(wide, true), R"("\u20ac\ud83d\ude00\u00e9")");
    EXPECT_EQ(write_json(Json::object().set("\xC3\xA9", Json::array()), true), R"({"\u00e9":[]})");
}

TEST(Json, writes_ill_formed_text_as_replacement_characters) {
    const std::string mark = "\xEF\xBF\xBD";
    const auto written = [](std::string_view text) { return write_json(Json::of(text)); };
    EXPECT_EQ(written("a\x80z"), "\"a" + mark + "z\"");
    EXPECT_EQ(written("\xF0\x9F\x98"), "\"" + mark + "\"");  // one for a cut character
    EXPECT_EQ(written("\xE2\x82z"), "\"" + mark + "z\"");
    EXPECT_EQ(written("\xC0\xAF"), "\"" + mark + mark + "\"");
    EXPECT_EQ(written("\xED\xA0\x80"), "\"" + mark + mark + mark + "\"");
    EXPECT_EQ(written("\xF4\x90\x80\x80"), "\"" + mark + mark + mark + mark + "\"");
    EXPECT_EQ(write_json(Json::of("\xFF"), true), R"("\ufffd")");
    for (int a = 0; a < 256; ++a) {
        for (int b = 0; b < 256; ++b) {
            const std::string pair = {static_cast<char>(a), static_cast<char>(b)};
            EXPECT_TRUE(parse_json(written(pair))) << a << " " << b;
            EXPECT_TRUE(parse_json(written("\xF0" + pair))) << a << " " << b;
        }
    }
}

TEST(Json, spells_numbers_as_short_as_they_read_back) {
    EXPECT_EQ(write_json(Json::of_integer(std::numeric_limits<int64_t>::min())),
              "-9223372036854775808");
    for (const double value :
         {0.1, 1.0, -0.0, 1e300, 5e-324, 1.0 / 3.0, 123456789.125, 1e21, 6.02214076e23}) {
        const Json number = Json::of_number(value);
        const Json back = parsed(write_json(number));
        EXPECT_EQ(back.number, value);
        EXPECT_EQ(std::signbit(back.number), std::signbit(value));
        EXPECT_EQ(back.is_integer, number.is_integer) << number.text;
    }
    EXPECT_EQ(Json::of_number(0.1).text, "0.1");
    EXPECT_TRUE(Json::of_number(std::numeric_limits<double>::infinity()).is_null());
    EXPECT_TRUE(Json::of_number(std::nan("")).is_null());
}

TEST(Json, sets_and_replaces_members) {
    Json value = Json::object();
    value.set("a", Json::of_integer(1)).set("b", Json::of_bool(true)).set("a", Json::of("x"));
    EXPECT_EQ(write_json(value), R"({"a":"x","b":true})");
}

TEST(Json, does_not_follow_the_locale) {
    const std::string before = std::setlocale(LC_NUMERIC, nullptr);
    if (std::setlocale(LC_NUMERIC, "de_DE.UTF-8") == nullptr) GTEST_SKIP() << "no such locale";
    const Json value = parsed("[1.5]");
    std::setlocale(LC_NUMERIC, before.c_str());
    EXPECT_EQ(write_json(value), "[1.5]");
    EXPECT_EQ(value.items[0].number, 1.5);
}

TEST(Json, reads_every_real_document) {
    const std::filesystem::path root = std::filesystem::path(GEMLET_SHARED_DATA) / "data";
    if (!std::filesystem::exists(root)) GTEST_SKIP() << "no reference data";
    constexpr uintmax_t kLargest = 4U << 20U;
    size_t n_files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
        if (entry.path().extension() != ".json" || entry.file_size() > kLargest) continue;
        std::ostringstream text;
        text << std::ifstream(entry.path(), std::ios::binary).rdbuf();
        const auto value = parse_json(text.str());
        ASSERT_TRUE(value) << entry.path() << value.error().message();
        // Writing and reading again changes nothing.
        const std::string written = write_json(*value);
        EXPECT_EQ(write_json(parsed(written)), written) << entry.path();
        EXPECT_EQ(write_json(parsed(write_json(*value, true))), written) << entry.path();
        ++n_files;
    }
    EXPECT_GT(n_files, 0U);
}

}  // namespace
}  // namespace gemlet
