import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** Events and leads in JSON, by Jackson with readers made once. */
final class Json {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    /** An event without what the job does not need. */
    @JsonIgnoreProperties(ignoreUnknown = true)
    record Read(@JsonProperty("kind") String kind, @JsonProperty("occurred_at") long occurredAt) {}

    static Serde<Scores.Event> events() {
        ObjectReader reader = MAPPER.readerFor(Read.class);
        return Serdes.serdeFrom(
                (topic, event) -> {
                    throw new UnsupportedOperationException("events are only read");
                },
                (topic, bytes) -> {
                    try {
                        Read read = reader.readValue(bytes);
                        return new Scores.Event(read.kind(), read.occurredAt());
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                });
    }

    static Serde<Scores.Lead> leads() {
        ObjectReader reader = MAPPER.readerFor(Scores.Lead.class);
        ObjectWriter writer = MAPPER.writerFor(Scores.Lead.class);
        return Serdes.serdeFrom(
                (topic, lead) -> {
                    try {
                        return lead == null ? null : writer.writeValueAsBytes(lead);
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                },
                (topic, bytes) -> {
                    try {
                        return bytes == null ? null : reader.readValue(bytes);
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                });
    }

    private Json() {}
}
