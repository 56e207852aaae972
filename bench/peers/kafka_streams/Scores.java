import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The simple job as a topology of Kafka Streams: a processor with a cached, logged state store in memory.
 *
 * <p>Arguments: those of every contender, then json or avro, then settings of Kafka Streams as name=value.
 */
public final class Scores {
    static final double HALF_LIFE_MS = 7 * 86_400_000.0;
    static final double HOT_AT = 19.5;
    static final double COOL_AT = 9.5;
    static final Map<String, Double> POINTS = Map.of(
            "page_view", 1.0,
            "email_open", 1.0,
            "dwell", 2.0,
            "search", 2.0,
            "email_click", 4.0,
            "download", 8.0,
            "webinar_register", 8.0,
            "form_submit", 10.0,
            "trial_start", 15.0,
            "demo_request", 20.0);

    /** What the job needs of an event. */
    record Event(String kind, long occurredAt) {}

    /** What is kept of a lead. */
    record Lead(double score, long at, boolean hot) {
        static final Lead NEW = new Lead(0, 0, false);

        Lead after(Event event) {
            double points = POINTS.getOrDefault(event.kind(), 0.0);
            double after;
            long time = Math.max(at, event.occurredAt());
            if (event.occurredAt() >= at) {
                after = score * Math.pow(2, (at - event.occurredAt()) / HALF_LIFE_MS) + points;
            } else {
                after = score + points * Math.pow(2, (event.occurredAt() - at) / HALF_LIFE_MS);
            }
            return new Lead(after, time, hot ? after >= COOL_AT : after >= HOT_AT);
        }
    }

    /** Folds each event into its lead and forwards those that got hot. */
    static final class Scoring implements Processor<String, Event, String, Lead> {
        private final Marks marks;
        private ProcessorContext<String, Lead> context;
        private KeyValueStore<String, Lead> leads;

        Scoring(Marks marks) {
            this.marks = marks;
        }

        @Override
        public void init(ProcessorContext<String, Lead> context) {
            this.context = context;
            leads = context.getStateStore("leads");
        }

        @Override
        public void process(Record<String, Event> record) {
            Lead before = leads.get(record.key());
            if (before == null) {
                before = Lead.NEW;
            }
            Lead lead = before.after(record.value());
            leads.put(record.key(), lead);
            if (lead.hot() && !before.hot()) {
                context.forward(record.withValue(lead));
            }
            marks.add();
        }
    }

    /** Counts events and tells when it has come to a mark; one thread. */
    static final class Marks {
        private final long cold;
        private final long warm;
        private final long all;
        private long count;

        Marks(long cold, long warm, long all) {
            this.cold = cold;
            this.warm = warm;
            this.all = all;
        }

        void add() {
            count++;
            if (count == cold) {
                System.out.println("cold");
            }
            if (count == warm) {
                System.out.println("warm");
            }
            if (count == all) {
                System.out.println("all");
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[4]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[5]);
        settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        Marks marks = new Marks(
                Long.parseLong(arguments[7]), Long.parseLong(arguments[8]), Long.parseLong(arguments[9]));
        boolean json = arguments[10].equals("json");
        for (int i = 11; i < arguments.length; i++) {
            String[] pair = arguments[i].split("=", 2);
            settings.put(pair[0], pair[1]);
        }

        Serde<Event> events = json ? Json.events() : Avro.events();
        Serde<Lead> leads = json ? Json.leads() : Avro.leads();
        StreamsBuilder builder = new StreamsBuilder();
        builder.addStateStore(Stores.keyValueStoreBuilder(
                        Stores.inMemoryKeyValueStore("leads"), Serdes.String(), leads)
                .withCachingEnabled()
                .withLoggingEnabled(Map.of()));
        builder.stream(arguments[1], Consumed.with(Serdes.String(), events))
                .process(() -> new Scoring(marks), "leads")
                .to(arguments[2], Produced.with(Serdes.String(), leads));

        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }
}
