import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import org.apache.avro.Schema;
import org.apache.avro.SchemaBuilder;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/**
 * Events in Avro behind five bytes that name the schema, leads in 17 bytes of their own.
 *
 * <p>Events are read by a schema of the two fields that are needed, so that the rest is skipped.
 */
final class Avro {
    private static final int PREFIX = 5;

    static Serde<Scores.Event> events() {
        Schema written;
        try {
            written = new Schema.Parser().parse(Path.of("schemas", "avro", "Engagement.avsc").toFile());
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        Schema wanted = SchemaBuilder.record("Engagement")
                .namespace("handraise")
                .fields()
                .requiredLong("occurred_at")
                .name("kind")
                .type(SchemaBuilder.builder().stringBuilder().prop("avro.java.string", "String").endString())
                .noDefault()
                .endRecord();
        GenericDatumReader<GenericRecord> reader = new GenericDatumReader<>(written, wanted);
        BinaryDecoder[] decoder = new BinaryDecoder[1]; // used again and again
        GenericRecord[] record = new GenericRecord[1];
        return Serdes.serdeFrom(
                (topic, event) -> {
                    throw new UnsupportedOperationException("events are only read");
                },
                (topic, bytes) -> {
                    try {
                        decoder[0] = DecoderFactory.get()
                                .binaryDecoder(bytes, PREFIX, bytes.length - PREFIX, decoder[0]);
                        record[0] = reader.read(record[0], decoder[0]);
                        return new Scores.Event((String) record[0].get(1), (Long) record[0].get(0));
                    } catch (IOException error) {
                        throw new UncheckedIOException(error);
                    }
                });
    }

    static Serde<Scores.Lead> leads() {
        return Serdes.serdeFrom(
                (topic, lead) -> lead == null
                        ? null
                        : ByteBuffer.allocate(17)
                                .putDouble(lead.score())
                                .putLong(lead.at())
                                .put((byte) (lead.hot() ? 1 : 0))
                                .array(),
                (topic, bytes) -> {
                    if (bytes == null) {
                        return null;
                    }
                    ByteBuffer buffer = ByteBuffer.wrap(bytes);
                    return new Scores.Lead(buffer.getDouble(), buffer.getLong(), buffer.get() == 1);
                });
    }

    private Avro() {}
}
